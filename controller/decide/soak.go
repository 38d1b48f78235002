package decide

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// followSoak ends the watch over what was flipped, of its soak and of how it is applied: by a rollback
// when the image fails or too few nodes apply it, else when its time is over and enough have.
func followSoak(s *State) Step {
	if s.Record.Soaking == "" {
		return Step{}
	}
	r := s.rollout(s.Record.Soaking)
	if r == nil || r.State.Final() || r.ID != s.Record.Current.Rollout {
		return s.endSoak(r)
	}
	if r.Policy.Soak > 0 || r.Policy.Apply == nil {
		if why := s.soakFailure(r); why != "" {
			return s.failSoak(r, "failed in its soak: "+why)
		}
	}
	if why := s.applyFailure(r); why != "" {
		return s.failSoak(r, why)
	}
	if s.watchOver(r) {
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
// current, where there is no image before, where going back to it wins nothing, or where the fence
// config holds what somebody else has set: a rollback would overwrite it.
func (s *State) failSoak(r *messages.RolloutRecord, why string) Step {
	switch a := s.lastSeen(s.Kind); {
	case a.Epoch == s.Record.Epoch && !s.applied():
		return s.setState(r, messages.RolloutFailed, fmt.Sprintf("%s; not rolled back, as the fence config was set to %.200q by somebody else", why, a.Value))
	case s.Record.Previous.IsZero():
		return s.setState(r, messages.RolloutFailed, why+"; there is no earlier image to go back to")
	}
	if few := s.tooFewBefore(r); few != "" {
		return s.setState(r, messages.RolloutFailed, why+"; not rolled back, as "+few)
	}
	out := s.ChangeFleet(func(f *messages.FleetRecord) { Back(f, f.Previous, NewHold("fenceline", why, s.Now)) })
	out.Event = AboutRollout(r, out.Fleet.Epoch)
	out.Event.State, out.Event.Why, out.Event.To = messages.RolloutRolledBack, why, out.Fleet.Current
	return out
}

// tooFewBefore says why going back wins nothing, or "": no quorum has the image before, nor do more
// members than have the one that failed. What failed its trial is of use to none that has it.
func (s *State) tooFewBefore(r *messages.RolloutRecord) string {
	before, after := s.holding(s.Record.Previous.Image), s.holding(r.Ready.Image)
	if s.progressOf(r, nil).trialFailure() != "" {
		after = 0
	} else if s.applyFailure(r) != "" {
		after = s.applyingOf(r).done // the others have no use of it
	}
	needed := Quorum(&r.Policy, len(s.Members))
	if before >= needed || before > after {
		return ""
	}
	return fmt.Sprintf("%d of %s have the image before, %d must", before, Count(len(s.Members), "member", "members"), needed)
}

// holding counts the members that have an image.
func (s *State) holding(i messages.Image) int {
	n, local := 0, LocalFor(&s.Record, s.Record.Reference, i)
	for _, name := range s.Members {
		if s.Nodes[name].HasAs(i, local) {
			n++
		}
	}
	return n
}

// soakFailure says what is wrong with the image in its soak, or "": a trial that failed, or more
// members than may fail that have lacked it for longer than they may. A node that is silent says
// nothing about the image. Members that lacked it when it was flipped are no failure, whoever was retired
// since.
func (s *State) soakFailure(r *messages.RolloutRecord) string {
	if why := s.progressOf(r, nil).trialFailure(); why != "" {
		return why
	}
	lost, lacking := s.lacking(r, true)
	may := r.Policy.MayFail(len(r.Members))
	if len(lost) <= may && len(lacking) <= max(0, r.Counts()-r.Present)+may {
		return ""
	}
	if len(lost) <= may {
		lost = lacking
	}
	var names []string
	for _, name := range lost {
		names = append(names, name+" ("+cmp.Or(fitText(s.Nodes[name].problem(r.Ready.Image), reasonMost), "the image is gone")+")")
	}
	return fmt.Sprintf("%d of %s lack it, %d may: %s", len(lost), Count(len(r.Members), "member", "members"), may, JoinNames(names))
}

// lacking lists the members that lack the image that soaks, those that were seen with it and all; past
// their grace alone, or in it too.
func (s *State) lacking(r *messages.RolloutRecord, past bool) (lost, all []string) {
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		n := s.Nodes[name]
		if n.Lacked == 0 || past && n.Lacked < r.Policy.Grace(n.Status.Interval.Std()) {
			continue
		}
		all = append(all, name)
		if n.Had {
			lost = append(lost, name)
		}
	}
	return lost, all
}

// soakTime is how long an image soaks: the policy's time, and longer while so many members may have
// lost it that it failed if they don't fetch it again.
func (s *State) soakTime(r *messages.RolloutRecord) time.Duration {
	most := r.Policy.Soak.Std()
	if lost, _ := s.lacking(r, false); len(lost) > r.Policy.MayFail(len(r.Members)) {
		for _, name := range lost {
			most = max(most, r.Policy.Soak.Std()+r.Policy.Grace(s.Nodes[name].Status.Interval.Std()))
		}
	}
	return most
}
