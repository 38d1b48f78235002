package controller

import (
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// state is all that a decision about one fleet is based on. Nothing else counts: two
// controllers with the same state decide the same, but for random IDs.
type state struct {
	record   messages.FleetRecord
	rollouts []messages.RolloutRecord          // of this fleet
	before   map[string]messages.RolloutRecord // by ID: those of other fleets that this fleet's rollouts wait for
	members  []string                          // sorted
	retired  map[string]bool                   // nodes that an operator took out of the fleet
	nodes    map[string]node
	soaked   time.Duration // how long this controller has seen record.Soaking soak
	report   bool          // it is time to write progress that only people look at
	now      time.Time     // for people to read; decides nothing
}

// node is a member as this controller sees it.
type node struct {
	status messages.NodeStatus // the last heartbeat; zero where there is none
	fresh  bool                // received within three of the node's own intervals, from the only node of this name
	twin   bool                // two nodes have this name
	quiet  time.Duration       // since its admission to the moving rollout or its last progress, by this controller's clock
}

// has tells whether a fresh heartbeat lists exactly this image.
func (n node) has(i messages.Image) bool {
	return n.fresh && slices.ContainsFunc(n.status.Images, func(p messages.PresentImage) bool { return p.Image == i })
}

// lacks tells whether a fresh heartbeat says that exactly this image is not there. A node
// whose engine does not answer, or that has not read the fleet's record yet, names no images
// and says nothing.
func (n node) lacks(i messages.Image) bool {
	return n.fresh && n.status.Engine.Error == "" && n.status.Revision > 0 && !n.has(i)
}

// work is what the node does about a rollout, or nil.
func (n node) work(rollout string) *messages.NodeWork {
	if n.fresh && n.status.Work != nil && n.status.Work.Rollout == rollout {
		return n.status.Work
	}
	return nil
}

// step is one write, and what is told of it. A step without a write means that nothing is
// to be decided now.
type step struct {
	fleet   *messages.FleetRecord
	rollout *messages.RolloutRecord
	event   *messages.RolloutChanged
	// rests is the rollout whose record a write of the fleet's rests on, or "". The two are
	// seen by different watches: where that record has moved, the write must not be made.
	rests string
	// again tells that a rollout's write takes back how it ended, by the fleet's record: where
	// that has moved, the write must not be made.
	again bool
}

func (s *state) rollout(id string) *messages.RolloutRecord {
	i := slices.IndexFunc(s.rollouts, func(r messages.RolloutRecord) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &s.rollouts[i]
}

// changeFleet is the step that changes the fleet record.
func (s *state) changeFleet(change func(*messages.FleetRecord)) step {
	r := clone(s.record)
	change(&r)
	r.Decision = messages.NewID()
	return step{fleet: &r}
}

// changeRollout is the step that changes a rollout's record. The event tells of a new
// state, and of a new reason.
func (s *state) changeRollout(old *messages.RolloutRecord, change func(*messages.RolloutRecord)) step {
	r := *old
	change(&r)
	r.Updated = s.now
	out := step{rollout: &r}
	if r.State != old.State || r.Why != old.Why {
		out.event = changed(&r, s.record.Epoch)
	}
	return out
}

// say is the step that gives a rollout a state with the reason, or nothing where it has them.
func (s *state) say(r *messages.RolloutRecord, at messages.RolloutState, why string) step {
	if r.State == at && r.Why == why {
		return step{}
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) { r.State, r.Why = at, why })
}

// changed is the event that tells of a rollout's state.
func changed(r *messages.RolloutRecord, epoch uint64) *messages.RolloutChanged {
	return &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: r.ID, Build: r.Ready.Build, Order: r.Ready.Order, Image: r.Ready.Image,
		State: r.State, Why: r.Why, Epoch: epoch, Present: r.Present, Members: len(r.Members),
	}
}

// clone copies what a change of the record may touch.
func clone(r messages.FleetRecord) messages.FleetRecord {
	r.Keep = slices.Clone(r.Keep)
	if r.Preload != nil {
		p := *r.Preload
		r.Preload = &p
	}
	if r.Hold != nil {
		h := *r.Hold
		r.Hold = &h
	}
	if r.Bases != nil {
		b := *r.Bases
		r.Bases = &b
	}
	return r
}

// older tells whether a comes before b: by order, and by ID where a retry has the same.
func older(a, b *messages.RolloutRecord) bool {
	if a.Ready.Order != b.Ready.Order {
		return a.Ready.Order < b.Ready.Order
	}
	return a.ID < b.ID
}

// names joins at most a few names for people.
func names(all []string) string { return firstOf(all, len(all)) }

// firstOf joins at most a few names, of so many that there are.
func firstOf(some []string, all int) string {
	const most = 5
	if all <= most {
		return strings.Join(some, ", ")
	}
	return strings.Join(some[:most], ", ") + " and " + count(all-most, "more", "more")
}
