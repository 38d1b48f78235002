package decide

import (
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Clocks measures, for one fleet, how long nodes have made no progress and how long an image has
// soaked: by this controller's monotonic clock, from when this controller saw it first. A
// successor begins anew, so it may give more time and never less.
type Clocks struct {
	rollout string          // the moving rollout that nodes are measured for
	nodes   map[string]pace // of its admitted members
	soaking string          // the rollout whose image soaks, or ""
	soak    time.Time       // since when
}

// pace is how far a node is, and since when it has been no further.
type pace struct {
	bytes   int64
	state   messages.WorkState
	present bool
	tried   bool
	since   time.Time
}

// Measure sets Soaked, and the nodes' Quiet, of a state that was seen now.
func (c *Clocks) Measure(s *State, now time.Time) {
	c.measureNodes(s, now)
	id := s.Record.Soaking
	if r := s.rollout(id); r == nil || r.State != messages.RolloutSoaking || !s.applied() {
		id = "" // an image soaks only while the fence config holds it; afterwards its soak begins anew
	}
	if id != c.soaking {
		c.soaking, c.soak = id, now
	}
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
		at := pace{present: n.Has(p.Image)}
		if w := n.workOn(p.Rollout); w != nil {
			at.bytes, at.state, at.tried = w.Bytes, w.State, w.Trial != nil
		}
		was, known := c.nodes[name]
		at.since = was.since
		if !known || at != was && n.Fresh {
			at.since = now
		}
		c.nodes[name] = at
		n.Quiet = now.Sub(at.since)
		s.Nodes[name] = n
	}
}
