package controller

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
)

// itself is who decides what nobody did.
const itself = "fenceline"

// countDecision counts what somebody decided about a fleet that was seen before. It is called with mu held.
func (v *views) countDecision(old, now queue.Entry[messages.FleetRecord]) {
	if old.Revision == 0 || now.Deleted || now.Earlier {
		return
	}
	was, is := &old.Value, &now.Value
	hold := is.Hold
	if hold != nil && (was.Hold == nil || was.Hold.At != hold.At) {
		v.metrics.Held(now.Key, hold.By != itself)
	}
	switch {
	case is.Epoch <= was.Epoch:
	case hold != nil && hold.Epoch == is.Epoch:
		v.metrics.RolledBack(now.Key, hold.By != itself)
	default:
		v.metrics.Flipped(now.Key)
	}
}

// countFlip counts how long a push took to its flip, when a rollout that was seen before is flipped. It is called with mu held.
func (v *views) countFlip(old, now queue.Entry[messages.RolloutRecord]) {
	is := &now.Value
	if old.Revision > 0 && !now.Deleted && !now.Earlier && old.Value.FlippedAt.IsZero() && !is.FlippedAt.IsZero() && !is.Ready.Received.IsZero() {
		v.metrics.FlippedAfter(is.Fleet, is.FlippedAt.Sub(is.Ready.Received))
	}
}

// lastNode is how far an actor is with waiting for the last node of a rollout.
type lastNode struct {
	rollout string   // the current image's, as it was seen last
	known   bool     // rollout is set, were it ""
	waits   bool     // it was flipped, or lacked a node, while this actor looked
	members []string // that it counts: its record names them no more once it is over
}

// noteLast counts how long a push took to the last node of its rollout, once.
func (f *fleetActor) noteLast() {
	id := f.views.fleet(f.fleet).Current.Rollout
	r := f.views.rollout(id)
	if f.Metrics == nil || id != "" && r.FlippedAt.IsZero() {
		return
	}
	seen := f.last.known && f.last.rollout == id
	if !seen {
		f.last = lastNode{rollout: id, known: true, waits: f.last.known}
	}
	if len(r.Members) > 0 {
		f.last.members = r.Members
	}
	if seen && !f.last.waits || len(f.last.members) == 0 {
		return
	}
	s, _, _ := f.views.snapshot(f.fleet, f.clocks)
	left := slices.DeleteFunc(slices.Clone(f.last.members), func(node string) bool { return !slices.Contains(s.Members, node) })
	_, present, applied := standing(&s, left, r.Ready.Image)
	switch whole := present == len(left) && (r.Policy.Apply == nil || applied == len(left)); {
	case !whole:
		f.last.waits = true
	case f.last.waits:
		f.last.waits = false
		f.Metrics.LastNodeAfter(f.fleet, s.Now.Sub(r.Ready.Received))
	}
}

// standing counts those of some nodes that are heard, that have an image, and that have applied it.
func standing(s *decide.State, of []string, image messages.Image) (fresh, present, applied int) {
	for _, name := range of {
		n := s.Nodes[name]
		if n.Fresh {
			fresh++
		}
		if n.Has(image) {
			present++
		}
		if n.Status.Applied.Has(image) {
			applied++
		}
	}
	return fresh, present, applied
}

// fleetsNow is what is known of all fleets, for metrics.
func (v *views) fleetsNow() []metrics.FleetNow {
	var out []metrics.FleetNow
	for _, name := range v.fleetNames() {
		s, known := v.seen(name)
		if !known {
			continue
		}
		now := fleetNow(name, &s)
		if r := moving(&s); r != nil {
			now.Moving = rolloutNow(&s, r)
			now.Moving.Unchanged = v.further.since(r, now.Moving, s.Now)
		}
		out = append(out, now)
	}
	return out
}

// seen is snapshot without what only a fleet's actor may measure.
func (v *views) seen(fleet string) (s decide.State, known bool) {
	s, revision, _ := v.snapshot(fleet, &decide.Clocks{})
	return s, revision > 0
}

func fleetNow(name string, s *decide.State) metrics.FleetNow {
	r := &s.Record
	f := metrics.FleetNow{
		Fleet: name, Members: len(s.Members), Epoch: r.Epoch, Held: r.Hold != nil, FenceBroken: r.Applied.Error != "",
		Rollouts: map[string]int{},
	}
	if r.Hold != nil {
		f.HeldFor = s.Now.Sub(r.Hold.At)
	}
	fresh, present, applied := standing(s, s.Members, r.Current.Image)
	f.Silent = f.Members - fresh
	if !r.Current.IsZero() {
		f.Present, f.Applied, f.Behind = present, applied, fresh-present
	}
	for _, state := range messages.RolloutStates() {
		f.Rollouts[string(state)] = 0
	}
	for i := range s.Rollouts {
		f.Rollouts[string(s.Rollouts[i].State)]++
	}
	return f
}

// moving is the newest rollout that is not over. One that only waits for others counts where there is no other.
func moving(s *decide.State) (out *messages.RolloutRecord) {
	for i := range s.Rollouts {
		r := &s.Rollouts[i]
		if r.State.Final() {
			continue
		}
		waits, others := r.State == messages.RolloutWaiting, out != nil && out.State == messages.RolloutWaiting
		if out == nil || others && !waits || others == waits && r.Ready.Order > out.Ready.Order {
			out = r
		}
	}
	return out
}

func rolloutNow(s *decide.State, r *messages.RolloutRecord) *metrics.RolloutNow {
	_, present, applied := standing(s, r.Members, r.Ready.Image)
	return &metrics.RolloutNow{
		State: string(r.State), Members: r.Counts(), Present: present, Applied: applied, Failed: max(r.FailedCount, len(r.Failed)),
		Age: s.Now.Sub(r.Opened),
	}
}

// further is since when the moving rollouts of fleets have come no further. Their records don't tell: they change as well when a node
// fails for another reason, such as each time by how much it lacks room.
type further struct {
	mu    sync.Mutex
	known map[string]reached // by fleet
}

// reached is how far a rollout has come at most.
type reached struct {
	rollout                                  string
	state                                    messages.RolloutState
	wave, admitted, present, applied, trials int
	at                                       time.Time
}

// since is for how long a rollout has come no further: as far as its record tells, where it was not looked at before.
func (f *further) since(r *messages.RolloutRecord, seen *metrics.RolloutNow, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	is := reached{r.ID, r.State, r.Wave, r.Admitted, seen.Present, seen.Applied, len(r.Trials), now}
	was := f.known[r.Fleet]
	switch {
	case was.rollout != is.rollout:
		is.at = r.Updated
	case was.state == is.state:
		best := reached{
			is.rollout, is.state, max(is.wave, was.wave), max(is.admitted, was.admitted),
			max(is.present, was.present), max(is.applied, was.applied), max(is.trials, was.trials), was.at,
		}
		if best != was {
			best.at = now
		}
		is = best
	}
	if f.known == nil {
		f.known = map[string]reached{}
	}
	f.known[r.Fleet] = is
	return max(now.Sub(is.at), 0)
}

// fenceOutcome is what became of a call of a fence config.
func fenceOutcome(err error) string {
	switch {
	case err == nil:
		return metrics.FenceDone
	case errors.Is(err, fence.ErrConflict):
		return metrics.FenceConflict
	}
	return metrics.FenceError
}
