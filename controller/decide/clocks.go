package decide

import (
	"cmp"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Clocks measures, for one fleet, how long nodes have made no progress, how long an image has soaked
// and when the last node joined: by this controller's monotonic clock, from when this controller saw
// it first. A successor begins anew, so it may give more time and never less.
type Clocks struct {
	rollout string          // the moving rollout that nodes are measured for
	nodes   map[string]pace // of its admitted members
	soaking string          // the rollout whose image soaks, or ""
	soak    time.Time       // since when

	joins joins
	lost  map[string]lack // of the members of the rollout that soaks
	turns map[string]turn
	stall stall

	firsts map[messages.First]idling
	idled  map[messages.First]bool
}

// pace is how far a node is, and since when it has been no further.
type pace struct {
	bytes   int64
	state   messages.WorkState
	present bool
	tried   bool
	since   time.Time
	failing time.Time // since it failed first, without coming further; zero where it did not
	failure string
}

// further tells whether a node has come further than it had before it failed. Bytes are no sign of
// that, as each try fetches some.
func (p pace) further(was pace) bool { return p.present && !was.present || p.tried && !was.tried }

// Measure sets Soaked, and the nodes' Quiet, of a state that was seen now.
func (c *Clocks) Measure(s *State, now time.Time) {
	c.measureNodes(s, now)
	c.measureJoins(s, now)
	c.measureTurns(s, now)
	c.measureStall(s, now)
	c.measureFirsts(s, now)
	id := s.Record.Soaking
	if r := s.rollout(id); r == nil || r.State != messages.RolloutSoaking || !s.applied() {
		id = "" // an image soaks only while the fence config holds it; afterwards its soak begins anew
	}
	if id != c.soaking {
		c.soaking, c.soak = id, now
	}
	c.measureLost(s, now)
	if id != "" {
		s.Soaked = now.Sub(c.soak)
	}
}

// measureNodes sets how long the admitted nodes of the rollout that moves have made no progress.
func (c *Clocks) measureNodes(s *State, now time.Time) {
	p := s.Record.Preload
	if p == nil {
		c.rollout, c.nodes = "", nil
		return
	}
	if p.Rollout != c.rollout {
		c.rollout, c.nodes = p.Rollout, map[string]pace{}
	}
	r := s.rollout(p.Rollout)
	if r == nil {
		return
	}
	for _, name := range r.Members {
		if !admits(p, name) {
			delete(c.nodes, name)
			continue
		}
		n := s.Nodes[name]
		was, known := c.nodes[name]
		at := paceOf(n, p, was)
		problem := n.problem(p.Image)
		waits := n.healthy() && !at.present && problem == "" &&
			(!s.Record.Turns.Admits(name) || s.Record.HeldBack(name, n.Status.Mirror, p.Image))
		if !known || at != was && n.Fresh || waits {
			at.since = now
		}
		if at.failing.IsZero() && problem != "" && !at.tried {
			at.failing = now
		}
		at.failure = cmp.Or(problem, at.failure)
		c.nodes[name] = at
		n.Quiet = now.Sub(at.since)
		if !at.failing.IsZero() {
			n.Failing, n.Failure = max(now.Sub(at.failing), 1), at.failure
		}
		s.Nodes[name] = n
	}
}

// paceOf is how far a node is with the preload, and since when as far as was tells.
func paceOf(n Node, p *messages.Preload, was pace) pace {
	at := pace{present: n.Has(p.Image), since: was.since, failing: was.failing, failure: was.failure}
	if w := n.workOn(p.Rollout); w != nil {
		at.bytes, at.state, at.tried = w.Bytes, w.State, w.Trial != nil
	}
	if at.further(was) {
		at.failing, at.failure = time.Time{}, ""
	}
	return at
}
