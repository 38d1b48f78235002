package decide

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// dropRetired takes retired nodes out of frozen lists: nothing waits for them any more. Who retires a node takes
// it out of the rollouts that are open; one that is opened at that moment may count it by members that were
// seen before.
func dropRetired(s *State) Step {
	gone := func(n string) bool { return s.Retired[n] }
	for _, r := range s.live() {
		names := slices.DeleteFunc(slices.Clone(r.Members), func(n string) bool { return !gone(n) })
		if len(names) == 0 {
			continue
		}
		out := s.changeRollout(r, func(r *messages.RolloutRecord) { RemoveNodes(r, gone) })
		out.Event = AboutRollout(out.Rollout, s.Record.Epoch)
		out.Event.Why = fmt.Sprintf("counts no more who was retired: %s; %s left", JoinNames(names), Count(len(out.Rollout.Members), "member", "members"))
		return out
	}
	return Step{}
}

// endPassed ends the rollouts that can't become current any more.
func endPassed(s *State) Step {
	newest, next := s.newest(), s.next()
	for _, r := range s.live() {
		if s.wasFlipped(r) {
			continue
		}
		as, why := s.mustEnd(r)
		if as == "" && newest != nil && next != r && older(r, newest) {
			as, why = messages.RolloutSuperseded, fmt.Sprintf("build %s (order %d) is newer", newest.Ready.Build, newest.Ready.Order)
		}
		if as == "" {
			continue
		}
		if s.Record.Rollout != r.ID {
			return s.setState(r, as, why)
		}
		// What the nodes said is written first: once the preload is gone they say it no more.
		if p := s.progressOf(r, nil); !sameMap(p.trials, r.Trials) {
			return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Trials = p.trials })
		} else if why := p.unusableFailure(); why != "" && r.Unusable == "" {
			return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Unusable = why })
		}
		return s.ChangeFleet(func(f *messages.FleetRecord) { ClearRollout(f, r.ID) })
	}
	return Step{}
}

// slimEnded takes the names of members out of the records of rollouts that are over: they are kept
// for long, and nobody asks who was counted. How many there were, and who failed, stays.
func slimEnded(s *State) Step {
	for i := range s.Rollouts {
		if r := &s.Rollouts[i]; r.State.Final() && len(r.Members) > 0 {
			slim := *r
			slim.MemberCount, slim.Members = r.Counts(), nil
			return Step{Rollout: &slim}
		}
	}
	return Step{}
}

// mustEnd is the state in which a rollout that was not flipped must end whatever else there is, and
// why; "" where it may go on.
func (s *State) mustEnd(r *messages.RolloutRecord) (messages.RolloutState, string) {
	if r.Aborted != "" {
		why := "aborted by " + r.Aborted
		if r.AbortedWhy != "" {
			why += ": " + r.AbortedWhy
		}
		return messages.RolloutAborted, why
	}
	if r.Ready.Order <= s.Record.Highest {
		return messages.RolloutSuperseded, passed(s.Record.Highest, r.Ready.Order)
	}
	if err := messages.CheckPreload(r.Policy.PreloadFrom, r.Ready.Image); err != nil {
		return messages.RolloutFailed, err.Error()
	}
	p := s.progressOf(r, nil)
	if why := cmp.Or(p.trialFailure(), r.Unusable, p.unusableFailure()); why != "" {
		return messages.RolloutFailed, why
	}
	if r.After == "" {
		return "", ""
	}
	switch b := s.Before[messages.RolloutID(r.After, r.Ready.Build)]; b.State {
	case messages.RolloutFailed, messages.RolloutAborted, messages.RolloutRolledBack:
		return messages.RolloutFailed, fmt.Sprintf("its rollout in fleet %s ended as %s: %s", r.After, b.State, b.Why)
	case messages.RolloutSuperseded:
		return messages.RolloutSuperseded, fmt.Sprintf("its rollout in fleet %s was superseded", r.After)
	}
	return "", ""
}

// passed says why an order can't be flipped any more.
func passed(highest, order uint64) string {
	if highest == order {
		return fmt.Sprintf("an image of the same order, %d, was flipped already", order)
	}
	return fmt.Sprintf("order %d was flipped already, this is order %d", highest, order)
}

// clearEnded takes a rollout that is over, or whose record is lost, out of the fleet record.
func clearEnded(s *State) Step {
	id := s.Record.Rollout
	if id == "" {
		return Step{}
	}
	if r := s.rollout(id); r != nil && !r.State.Final() {
		return Step{}
	}
	return s.ChangeFleet(func(f *messages.FleetRecord) { ClearRollout(f, id) })
}

// clearBases ends the preload of a build's bases when its image has made its way. Until then
// nodes keep them: the image shares their layers.
func clearBases(s *State) Step {
	if s.Record.Bases == nil {
		return Step{}
	}
	r := s.rollout(messages.RolloutID(s.Record.Fleet, s.Record.Bases.Build))
	if r == nil || !r.State.Final() && !s.wasFlipped(r) {
		return Step{}
	}
	return s.ChangeFleet(func(f *messages.FleetRecord) { f.Bases = nil })
}
