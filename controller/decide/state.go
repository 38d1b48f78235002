package decide

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// State is all that a decision about one fleet is based on. Nothing else counts: two
// controllers with the same state decide the same, but for random IDs.
type State struct {
	Record    messages.FleetRecord
	Kind      string                            // of the place where the fence config lives now, of messages.FenceKinds; "" is natskv
	Rollouts  []messages.RolloutRecord          // of this fleet
	Before    map[string]messages.RolloutRecord // by ID: those of other fleets that this fleet's rollouts wait for
	Members   []string                          // sorted
	Retired   map[string]bool                   // nodes that an operator took out of the fleet
	Nodes     map[string]Node
	Soaked    time.Duration           // how long this controller has seen Record.Soaking soak
	New       map[string]bool         // members that this controller has made members
	Settling  string                  // why the members are not frozen yet: some are still joining; "" once they have settled
	Unapplied time.Duration           // how long this controller has seen too few members with the image applied that is watched after its flip
	Idled     map[messages.First]bool // nodes that were named first behind their mirror and came no further
	Stalled   time.Duration           // how long no further member has the image of the moving rollout, while a newer rollout waits
	Report    bool                    // it is time to write progress that only people look at
	Now       time.Time               // for people to read; decides nothing
}

// MissedBeats is how many of a node's own intervals its last heartbeat stays fresh.
const MissedBeats = 3

// Node is a member as this controller sees it.
type Node struct {
	Status messages.NodeStatus // the last heartbeat; zero where there is none
	Fresh  bool                // received within MissedBeats of the node's own intervals, from the only node of this name
	Twin   bool                // two nodes have this name
	Shares string              // the member that counts for its engine, where two nodes' names have one engine; "" where it counts itself

	// By this controller's clock:
	Quiet    time.Duration // since its admission to the moving rollout or its last progress
	Failing  time.Duration // since it failed in the moving rollout first, without coming further
	Failure  string        // how it failed there last
	Had      bool          // it was seen with the image that soaks
	DidApply bool          // it had applied the image that is watched when it was heard last
	Lacked   time.Duration // how long it has said that it lacks the image that soaks
	Turn     time.Duration // since it got its turn to fetch
	Idle     time.Duration // since it came further in its turn
	Waits    time.Duration // since its last turn ended; 0 where it had none
}

// healthy tells whether a node can be expected to do what it is asked to now.
func (n Node) healthy() bool { return n.Fresh && n.Status.Engine.Error == "" }

// misses tells whether a healthy node that knows the fleet's record says that an image is not there.
func (n Node) misses(i messages.Image) bool { return i != "" && n.lacks(i) }

// problem is why a node lacks an image, or "" where it has said nothing of it.
func (n Node) problem(i messages.Image) string {
	for _, p := range n.Status.Problems {
		if p.Image == i {
			return p.Reason
		}
	}
	if w := n.Status.Work; w != nil && w.Image == i && w.State == messages.WorkFailed {
		return cmp.Or(w.Reason, "failed without a reason")
	}
	return ""
}

// uncounted is why a node that is heard does not count, or "".
func (n Node) uncounted() string {
	switch {
	case n.Twin:
		return TwinReason
	case n.Shares != "":
		return SharedReason(n.Shares)
	}
	return ""
}

// Has tells whether a fresh heartbeat lists exactly this image.
func (n Node) Has(i messages.Image) bool {
	return n.Fresh && slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool { return p.Image == i })
}

// HasAs tells whether a fresh heartbeat lists exactly this image under a local name, or by its digest where
// that is "".
func (n Node) HasAs(i messages.Image, local string) bool {
	return n.Fresh && slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool {
		return p.Image == i && (local == "" && !p.LocalOnly || local != "" && p.Local == local)
	})
}

// LocalFor is the local name under which nodes must have an image for a fence config that names it in
// a form; "" where that is the digest.
func LocalFor(r *messages.FleetRecord, form messages.Reference, i messages.Image) string {
	if form != messages.ReferenceLocal {
		return ""
	}
	return r.LocalName(i)
}

// OtherName is why a node that has an image does not count for a fence config that names it in a form, or "": it
// doesn't know the image by that name.
func (n Node) OtherName(i messages.Image, form messages.Reference) string {
	if !n.Has(i) {
		return ""
	}
	if form != messages.ReferenceLocal {
		return fmt.Sprintf("has the image, but its engine (%s %s) starts nothing by digest: give the fleet reference: local, or update the engine",
			n.Status.Engine.Name, n.Status.Engine.Version)
	}
	return "has the image under another local name than the fleet's record says; a distributor of another version? update it"
}

// lacks tells whether a fresh heartbeat says that exactly this image is not there. A node
// whose engine does not answer, or that has not read the fleet's record yet, names no images
// and says nothing.
func (n Node) lacks(i messages.Image) bool {
	return n.Fresh && n.Status.Engine.Error == "" && n.Status.Revision > 0 && !n.Has(i)
}

// MarkShared takes members out of the count whose engine is another member's too.
func (s *State) MarkShared() {
	all := map[string]*messages.NodeStatus{}
	for _, name := range s.Members {
		if n := s.Nodes[name]; n.Fresh {
			all[name] = &n.Status
		}
	}
	for name, with := range messages.SharedEngines(all) {
		n := s.Nodes[name]
		n.Fresh, n.Shares = false, with
		s.Nodes[name] = n
	}
}

// workOn is what the node does about a rollout, or nil.
func (n Node) workOn(rollout string) *messages.NodeWork {
	if n.Fresh && n.Status.Work != nil && n.Status.Work.Rollout == rollout {
		return n.Status.Work
	}
	return nil
}

// Step is one write, of the fleet's record or of a rollout's, and the event that tells of it. A
// step without a write means that nothing is to be done now.
type Step struct {
	Fleet   *messages.FleetRecord
	Rollout *messages.RolloutRecord
	Event   *messages.RolloutChanged
	// RestsOn is the rollout by whose record Fleet was decided, or "". The two records are seen by
	// different watches, of which one may be behind. Before Fleet is written, that rollout's record
	// must be read, and the step dropped where it isn't at the revision that was seen.
	RestsOn string
	// Reopens tells that Rollout was over and is so no more, as the fleet's record names its image.
	// Before Rollout is written, the fleet's record must be read, and the step dropped where it isn't
	// at the revision that was seen.
	Reopens bool
}

// rollout is one of the fleet's rollouts, or nil.
func (s *State) rollout(id string) *messages.RolloutRecord {
	i := slices.IndexFunc(s.Rollouts, func(r messages.RolloutRecord) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Rollouts[i]
}

// ChangeFleet is the step that changes the fleet record.
func (s *State) ChangeFleet(change func(*messages.FleetRecord)) Step {
	r := cloneRecord(s.Record)
	change(&r)
	r.Decision = messages.NewID()
	return Step{Fleet: &r}
}

// changeRollout is the step that changes a rollout's record. The event tells of a new
// state, and of a new reason.
func (s *State) changeRollout(old *messages.RolloutRecord, change func(*messages.RolloutRecord)) Step {
	r := *old
	change(&r)
	r.Updated = s.Now
	s.plot(&r)
	out := Step{Rollout: &r}
	if r.State != old.State || r.Why != old.Why {
		out.Event = AboutRollout(&r, s.Record.Epoch)
	}
	return out
}

// setState is the step that gives a rollout a state with the reason, or nothing where it has them.
func (s *State) setState(r *messages.RolloutRecord, at messages.RolloutState, why string) Step {
	if r.State == at && r.Why == why {
		return Step{}
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) { r.State, r.Why = at, why })
}

// older tells whether a comes before b: by order, and by ID where a retry has the same.
func older(a, b *messages.RolloutRecord) bool {
	if a.Ready.Order != b.Ready.Order {
		return a.Ready.Order < b.Ready.Order
	}
	return a.ID < b.ID
}

// live lists the rollouts that are not over, oldest first.
func (s *State) live() []*messages.RolloutRecord {
	var out []*messages.RolloutRecord
	for i := range s.Rollouts {
		if r := &s.Rollouts[i]; !r.State.Final() {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *messages.RolloutRecord) int {
		if older(a, b) {
			return -1
		}
		return 1
	})
	return out
}

// wasFlipped tells whether a rollout that is not over has had its image made current.
func (s *State) wasFlipped(r *messages.RolloutRecord) bool {
	return r.ID == s.Record.Current.Rollout || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking
}
