package decide

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// followCurrent brings the rollouts' records in line with which image is current.
func followCurrent(s *State) Step {
	// Its image is current though it is over, so a person has promoted it: it is flipped again.
	if r := s.rollout(s.Record.Current.Rollout); r != nil && r.State.Final() && r.State != messages.RolloutDone && !r.FailedInSoak() {
		out := s.markFlipped(r)
		out.Reopens = true
		return out
	}
	for _, r := range s.live() {
		if r.ID != s.Record.Current.Rollout {
			if s.wasFlipped(r) {
				return s.leftCurrent(r)
			}
			continue
		}
		if out := s.followFlipped(r); out.Rollout != nil {
			return out
		}
	}
	return Step{}
}

// followFlipped is the step that says how far the rollout of the current image is: flipped, soaking
// or done. Only while the fence config holds its image does it soak, and is it done.
func (s *State) followFlipped(r *messages.RolloutRecord) Step {
	switch {
	case r.State != messages.RolloutFlipped && r.State != messages.RolloutSoaking:
		return s.markFlipped(r)
	case !s.applied():
		return s.setState(r, messages.RolloutFlipped, s.Record.Applied.Error)
	case s.Record.Soaking == r.ID:
		return s.watched(r)
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) {
		r.State = messages.RolloutDone
		s.noteStale(r)
	})
}

// applied tells whether the fence config was last seen to hold the current image, where it lives now.
func (s *State) applied() bool {
	a := s.lastSeen(s.Kind)
	return a.Epoch == s.Record.Epoch && a.Value == s.Record.FenceValue()
}

// Behind tells whether the fence config has still to be looked at for what was decided last, or in the place
// where it lives now.
func (s *State) Behind() bool { return s.lastSeen(s.Kind).Epoch != s.Record.Epoch }

// markFlipped is the step that gives a rollout the state RolloutFlipped.
func (s *State) markFlipped(r *messages.RolloutRecord) Step {
	counted := *r
	if len(r.Members) == 0 && tooMany(r, s.Members) == "" { // it was over, and counts the members anew
		counted.Members = slices.Clone(s.Members)
	}
	if len(counted.Members) > 0 {
		counted.MemberCount = len(counted.Members)
	}
	p := s.progressOf(&counted, nil)
	return s.changeRollout(r, func(r *messages.RolloutRecord) {
		r.Members, r.MemberCount = counted.Members, counted.MemberCount
		r.State, r.Why, r.FlippedAt = messages.RolloutFlipped, "", s.Now
		r.Present, r.Trials, r.Admitted = len(p.present), p.trials, max(r.Admitted, len(p.present))
	})
}

// markLeft ends a rollout as rolled back where it still says that it is done, though the fleet went
// back from its image: whoever took the fleet back may have died before writing it, and the fleets
// that come after this one begin when its rollout is done.
func markLeft(s *State) Step {
	for _, i := range Kept(&s.Record) {
		r := s.rollout(i.Rollout)
		if r != nil && (r.State == messages.RolloutDone || r.FailedInSoak()) && r.Ready.Order > s.Record.Current.Order {
			return s.leftCurrent(r)
		}
	}
	return Step{}
}

// leftCurrent is the step that ends a flipped rollout whose image is not current any more: as rolled
// back where the fleet went to an older one, else as done.
func (s *State) leftCurrent(r *messages.RolloutRecord) Step {
	if s.Record.Current.Order < r.Ready.Order {
		why := "the fleet went back to " + string(s.Record.Current.Image)
		if h := s.Record.Hold; h != nil && h.Epoch == s.Record.Epoch {
			why = "rolled back by " + h.By + ": " + h.Reason
		}
		return s.setState(r, messages.RolloutRolledBack, why)
	}
	return s.setState(r, messages.RolloutDone, "")
}

// noteStale notes the containers that run another image than the current one, and says how
// many they are.
func (s *State) noteStale(r *messages.RolloutRecord) {
	r.Why, r.Stale, r.StaleCount, r.StaleNodes = "", nil, 0, 0
	var some []string
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		before := r.StaleCount
		for _, c := range s.Nodes[name].Status.Containers {
			if !s.Nodes[name].Fresh || s.runsCurrent(s.Nodes[name], c) {
				continue
			}
			r.StaleCount++
			if len(r.Stale) < listMost {
				c = messages.ContainerUse{Node: name, Container: fitText(c.Container, containerMost), Image: fitText(c.Image, imageMost)}
				r.Stale = append(r.Stale, c)
				some = append(some, c.Container+" on "+name)
			}
		}
		if r.StaleCount > before {
			r.StaleNodes++
		}
	}
	if r.StaleCount > 0 {
		r.Why = fmt.Sprintf("%s on %s still ran another image: %s", Count(r.StaleCount, "container", "containers"),
			Count(r.StaleNodes, "node", "nodes"), joinFirst(some, r.StaleCount))
	}
}

// runsCurrent tells whether a container was started from the current image, by whichever
// of its names.
func (s *State) runsCurrent(n Node, c messages.ContainerUse) bool {
	return Runs(&s.Record, n.Status.Images, c, s.Record.Current.Image)
}

// Runs tells whether a container of a node with these images was started from one of them, by whichever of its names.
func Runs(r *messages.FleetRecord, has []messages.PresentImage, c messages.ContainerUse, image messages.Image) bool {
	if r.Names(c.Image, image) || c.Image == image.Digest() {
		return true
	}
	return slices.ContainsFunc(has, func(p messages.PresentImage) bool {
		return p.Image == image && (c.Image == p.Local || c.Image == p.ID)
	})
}
