package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// The rules about the image that is current: what becomes of its rollout, of those that the
// fleet left, and of its soak.

// followCurrent brings the rollout records in line with which image is current.
func followCurrent(s *state) step {
	// A person may promote what was rolled back, or ended otherwise: it is flipped again.
	if r := s.rollout(s.record.Current.Rollout); r != nil && r.State.Final() && r.State != messages.RolloutDone && !r.FailedInSoak() {
		out := s.flipped(r)
		out.again = true
		return out
	}
	for _, r := range s.live() {
		if r.ID != s.record.Current.Rollout {
			if s.decided(r) {
				return s.leftCurrent(r)
			}
			continue
		}
		if out := s.follow(r); out.rollout != nil {
			return out
		}
	}
	return step{}
}

// follow is the step that says how far the rollout of the current image is, or nothing where
// that is said. It soaks, and is done, only while the fence config holds the image.
func (s *state) follow(r *messages.RolloutRecord) step {
	broken := s.record.Applied.Error
	switch {
	case r.State != messages.RolloutFlipped && r.State != messages.RolloutSoaking:
		return s.flipped(r)
	case !s.applied():
		return s.say(r, messages.RolloutFlipped, broken)
	case s.record.Soaking == r.ID:
		return s.say(r, messages.RolloutSoaking, cmp.Or(broken, fmt.Sprintf("soaks for %s", r.Policy.Soak)))
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) {
		r.State = messages.RolloutDone
		s.noteStale(r)
	})
}

// applied tells whether the fence config was last seen to hold the current image.
func (s *state) applied() bool {
	a := &s.record.Applied
	return a.Epoch == s.record.Epoch && a.Value == string(s.record.Current.Image)
}

// flipped is the step that says of a rollout that its image is current.
func (s *state) flipped(r *messages.RolloutRecord) step {
	p := s.progressOf(r, nil)
	return s.changeRollout(r, func(r *messages.RolloutRecord) {
		r.State, r.Why, r.FlippedAt = messages.RolloutFlipped, "", s.now
		r.Present, r.Trials, r.Admitted = len(p.present), p.trials, max(r.Admitted, len(p.present))
	})
}

// markLeft says of a rollout that had its image made current for good that the fleet went back
// from it: whoever took it back may have died before saying so, and other fleets follow what is
// done.
func markLeft(s *state) step {
	for _, i := range kept(&s.record) {
		r := s.rollout(i.Rollout)
		if r != nil && (r.State == messages.RolloutDone || r.FailedInSoak()) && r.Ready.Order > s.record.Current.Order {
			return s.leftCurrent(r)
		}
	}
	return step{}
}

// leftCurrent ends a flipped rollout whose image is not current any more.
func (s *state) leftCurrent(r *messages.RolloutRecord) step {
	if s.record.Current.Order < r.Ready.Order {
		why := "the fleet went back to " + string(s.record.Current.Image)
		if h := s.record.Hold; h != nil && h.Epoch == s.record.Epoch {
			why = "rolled back by " + h.By + ": " + h.Reason
		}
		return s.say(r, messages.RolloutRolledBack, why)
	}
	return s.say(r, messages.RolloutDone, "")
}

// noteStale notes the containers that run another image than the current one, and says how
// many they are.
func (s *state) noteStale(r *messages.RolloutRecord) {
	r.Why, r.Stale, r.StaleCount, r.StaleNodes = "", nil, 0, 0
	var some []string
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		before := r.StaleCount
		for _, c := range s.nodes[name].status.Containers {
			if !s.nodes[name].fresh || s.runsCurrent(s.nodes[name], c) {
				continue
			}
			r.StaleCount++
			if len(r.Stale) < listMost {
				c = messages.ContainerUse{Node: name, Container: cut(c.Container, containerMost), Image: cut(c.Image, imageMost)}
				r.Stale = append(r.Stale, c)
				some = append(some, c.Container+" on "+name)
			}
		}
		if r.StaleCount > before {
			r.StaleNodes++
		}
	}
	if r.StaleCount > 0 {
		r.Why = fmt.Sprintf("%s on %s still ran another image: %s", count(r.StaleCount, "container", "containers"),
			count(r.StaleNodes, "node", "nodes"), firstOf(some, r.StaleCount))
	}
}

// runsCurrent tells whether a container was started from the current image, by whichever
// of its names.
func (s *state) runsCurrent(n node, c messages.ContainerUse) bool {
	current := s.record.Current.Image
	if c.Image == string(current) || c.Image == current.Digest() {
		return true
	}
	return slices.ContainsFunc(n.status.Images, func(p messages.PresentImage) bool {
		return p.Image == current && (c.Image == p.Local || c.Image == p.ID)
	})
}

// followSoak ends a soak: by a rollback when the image fails, else when its time is over.
func followSoak(s *state) step {
	if s.record.Soaking == "" {
		return step{}
	}
	r := s.rollout(s.record.Soaking)
	if r == nil || r.State.Final() || r.ID != s.record.Current.Rollout {
		return s.endSoak(r)
	}
	if why := s.soakFailure(r); why != "" {
		return s.failSoak(r, "failed in its soak: "+why)
	}
	if r.State == messages.RolloutSoaking && s.soaked >= r.Policy.Soak.Std() {
		out := s.endSoak(nil)
		out.rests = r.ID
		return out
	}
	return step{}
}

// endSoak lets newer flips follow, but for a failed image that stays current: what is to be
// done then is a person's to say.
func (s *state) endSoak(r *messages.RolloutRecord) step {
	return s.changeFleet(func(f *messages.FleetRecord) {
		f.Soaking = ""
		if r != nil && r.State == messages.RolloutFailed && r.ID == f.Current.Rollout && f.Hold == nil {
			h := hold("fenceline", r.Why, s.now)
			f.Hold = &h
		}
	})
}

// failSoak takes the fleet back. Where it can't, the rollout ends as failed with its image
// still current: there is nothing to go back to, or the fence config holds what somebody else
// has set, which a rollback would drive over.
func (s *state) failSoak(r *messages.RolloutRecord, why string) step {
	switch a := s.record.Applied; {
	case a.Epoch == s.record.Epoch && !s.applied():
		return s.say(r, messages.RolloutFailed, fmt.Sprintf("%s; not rolled back, as the fence config was set to %.200q by somebody else", why, a.Value))
	case s.record.Previous.IsZero():
		return s.say(r, messages.RolloutFailed, why+"; there is no earlier image to go back to")
	}
	out := s.changeFleet(func(f *messages.FleetRecord) { back(f, f.Previous, hold("fenceline", why, s.now)) })
	out.event = changed(r, out.fleet.Epoch)
	out.event.State, out.event.Why = messages.RolloutRolledBack, why
	return out
}

// soakFailure says what is wrong with the image in its soak, or "". A node that is silent
// says nothing about the image; one that lacks it, or reports a failure, counts against the quorum.
func (s *state) soakFailure(r *messages.RolloutRecord) string {
	p := s.progressOf(r, nil)
	if why := p.trialFailure(); why != "" {
		return why
	}
	var bad []string
	for _, name := range r.Members {
		n := s.nodes[name]
		if w := n.work(r.ID); w != nil && w.State == messages.WorkFailed {
			bad = append(bad, name+" ("+cut(w.Reason, reasonMost)+")")
		} else if n.lacks(r.Ready.Image) {
			bad = append(bad, name+" (the image is gone)")
		}
	}
	// Members that lacked the image when it was flipped were never part of its quorum.
	if len(bad) > 0 && len(r.Members)-len(bad) < p.needed {
		return fmt.Sprintf("%d of %s must have it: %s", p.needed, count(p.members, "member", "members"), names(bad))
	}
	return ""
}
