package decide

import (
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// followSoak ends a soak: by a rollback when the image fails, else when its time is over.
func followSoak(s *State) Step {
	if s.Record.Soaking == "" {
		return Step{}
	}
	r := s.rollout(s.Record.Soaking)
	if r == nil || r.State.Final() || r.ID != s.Record.Current.Rollout {
		return s.endSoak(r)
	}
	if why := s.soakFailure(r); why != "" {
		return s.failSoak(r, "failed in its soak: "+why)
	}
	if r.State == messages.RolloutSoaking && s.Soaked >= r.Policy.Soak.Std() {
		out := s.endSoak(nil)
		out.RestsOn = r.ID
		return out
	}
	return Step{}
}

// endSoak lets newer flips follow. Where the image of r failed in its soak and stays current, it
// sets a hold too, as a person has to say what is to be done.
func (s *State) endSoak(r *messages.RolloutRecord) Step {
	return s.ChangeFleet(func(f *messages.FleetRecord) {
		f.Soaking = ""
		if r != nil && r.State == messages.RolloutFailed && r.ID == f.Current.Rollout && f.Hold == nil {
			f.Hold = new(NewHold("fenceline", r.Why, s.Now))
		}
	})
}

// failSoak takes the fleet back to the image before. The rollout ends as failed, its image still
// current, where there is no image before, or where the fence config holds what somebody else has
// set: a rollback would overwrite it.
func (s *State) failSoak(r *messages.RolloutRecord, why string) Step {
	switch a := s.Record.Applied; {
	case a.Epoch == s.Record.Epoch && !s.applied():
		return s.setState(r, messages.RolloutFailed, fmt.Sprintf("%s; not rolled back, as the fence config was set to %.200q by somebody else", why, a.Value))
	case s.Record.Previous.IsZero():
		return s.setState(r, messages.RolloutFailed, why+"; there is no earlier image to go back to")
	}
	out := s.ChangeFleet(func(f *messages.FleetRecord) { Back(f, f.Previous, NewHold("fenceline", why, s.Now)) })
	out.Event = AboutRollout(r, out.Fleet.Epoch)
	out.Event.State, out.Event.Why = messages.RolloutRolledBack, why
	return out
}

// soakFailure says what is wrong with the image in its soak, or "". A node that is silent says
// nothing about the image. One that lacks it, or reports a failure, counts against the quorum.
func (s *State) soakFailure(r *messages.RolloutRecord) string {
	p := s.progressOf(r, nil)
	if why := p.trialFailure(); why != "" {
		return why
	}
	var bad []string
	for _, name := range r.Members {
		n := s.Nodes[name]
		if w := n.workOn(r.ID); w != nil && w.State == messages.WorkFailed {
			bad = append(bad, name+" ("+fitText(w.Reason, reasonMost)+")")
		} else if n.lacks(r.Ready.Image) {
			bad = append(bad, name+" (the image is gone)")
		}
	}
	// Members that lacked the image when it was flipped are bad too, and no failure: the others make
	// a quorum without them.
	if len(bad) > 0 && len(r.Members)-len(bad) < p.needed {
		return fmt.Sprintf("%d of %s must have it: %s", p.needed, Count(p.members, "member", "members"), joinNames(bad))
	}
	return ""
}
