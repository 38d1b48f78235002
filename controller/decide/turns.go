package decide

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// giveTurns writes who fetches first behind each mirror, and whose turn it is to fetch, where that has changed.
func giveTurns(s *State) Step {
	at := s.Record
	at.Firsts = s.firsts(&at)
	if now := s.turns(&at); !reflect.DeepEqual(now, s.Record.Turns) || !slices.Equal(at.Firsts, s.Record.Firsts) {
		return s.ChangeFleet(func(f *messages.FleetRecord) { f.Firsts, f.Turns = at.Firsts, now })
	}
	return Step{}
}

// failedTurn is how many of its intervals a node that fails has for another try in its turn, while others wait.
const failedTurn = 3

// turns says which members fetch now what they lack, whatever that is: what is current, what a
// rollout brings, what a rollback needs. They are as many as the policy lets be in flight, before a
// flip, after it, and for members that join late. It is nil where the policy has no bound.
func (s *State) turns(f *messages.FleetRecord) *messages.Turns {
	most := s.inFlight(f)
	if most == 0 {
		return nil
	}
	out := &messages.Turns{Nodes: []string{}}
	var others []claim
	for _, name := range s.Members {
		c, lacks := s.claim(f, name)
		switch {
		case !lacks:
		case c.holds && !c.over:
			out.Nodes = append(out.Nodes, name)
		default:
			others = append(others, c)
		}
	}
	slices.SortFunc(others, before)
	free := max(most-len(out.Nodes), 0)
	for _, c := range others[:min(free, len(others))] {
		out.Nodes = append(out.Nodes, c.node)
	}
	slices.Sort(out.Nodes)
	return out
}

// inFlight is how many nodes may fetch at one time: by the rollout that moves, else by that of the
// current image, else by the newest. 0 is any number.
func (s *State) inFlight(f *messages.FleetRecord) int {
	r := s.rollout(f.Rollout)
	if r == nil {
		r = s.rollout(f.Current.Rollout)
	}
	for i := range s.Rollouts {
		if o := &s.Rollouts[i]; f.Rollout == "" && f.Current.Rollout == "" && (r == nil || older(r, o)) {
			r = o
		}
	}
	if r == nil {
		return 0
	}
	return r.Policy.MaxInFlight
}

// claim is what a member that lacks an image says for its turn.
type claim struct {
	node  string
	holds bool          // it has a turn
	over  bool          // which others may have
	class int           // what it lacks: the lower, the more urgent
	waits time.Duration // since its last turn ended; 0 where it had none
}

// before orders claims: who had no turn yet, the more urgent, who has waited longer.
func before(a, b claim) int {
	had := func(c claim) int {
		if c.waits > 0 || c.over {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(had(a), had(b)), cmp.Compare(a.class, b.class), cmp.Compare(b.waits, a.waits), cmp.Compare(a.node, b.node))
}

// claim is a member's claim, and whether it lacks anything that it may fetch. A turn is over for a
// node that fails, after another try, and for one that comes no further or is silent for too long. A
// node that fetches does not fail now: what it says of a problem is of an earlier try.
func (s *State) claim(f *messages.FleetRecord, name string) (c claim, lacks bool) {
	n := s.Nodes[name]
	c = claim{node: name, holds: f.Turns != nil && f.Turns.Admits(name), waits: n.Waits}
	if !n.Fresh {
		return c, c.holds && n.Idle < s.turnDeadline(f)
	}
	image := messages.Image("")
	may := s.mayFetch(f, name)
	for class, i := range may {
		if n.misses(i) {
			image, c.class = i, class
			break
		}
	}
	if image == "" {
		return c, false
	}
	slice := failedTurn * n.Status.Interval.Std()
	fetches := n.Status.Fetching != nil && slices.Contains(may, n.Status.Fetching.Image)
	fails := n.problem(image) != "" && !fetches
	c.over = c.holds && (n.Idle >= s.turnDeadline(f) || fails && n.Turn > 0 && n.Turn >= slice)
	return c, true
}

// mayFetch lists what a member may fetch, the most urgent first, as its distributor does.
func (s *State) mayFetch(f *messages.FleetRecord, name string) []messages.Image {
	out := make([]messages.Image, 2, 3+len(f.Keep))
	if f.Spread.Admits(name) {
		out[0] = f.Current.Image
	}
	if f.Preload != nil && admits(f.Preload, name) {
		out[1] = f.Preload.Image
	}
	for _, i := range Kept(f) {
		out = append(out, i.Image)
	}
	for i, image := range out {
		if f.HeldBack(name, s.Nodes[name].Status.Mirror, image) {
			out[i] = ""
		}
	}
	return out
}

// turnDeadline is how long a turn may go on without any progress.
func (s *State) turnDeadline(f *messages.FleetRecord) time.Duration {
	for _, id := range []string{f.Rollout, f.Current.Rollout} {
		if r := s.rollout(id); r != nil {
			return r.Policy.NodeDeadline.Std()
		}
	}
	return messages.DefaultPolicy().NodeDeadline.Std()
}
