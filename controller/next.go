package controller

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// next is the one write that should come next for a fleet, or none. It is called again
// after each write, on what the records say then.
func next(s *state) step {
	for _, rule := range []func(*state) step{
		dropRetired, followCurrent, markLeft, followSoak, endPassed, clearEnded, clearBases, open, advance,
	} {
		if out := rule(s); out.fleet != nil || out.rollout != nil {
			return out
		}
	}
	return step{}
}

// live lists the rollouts that are not over, oldest first.
func (s *state) live() []*messages.RolloutRecord {
	var out []*messages.RolloutRecord
	for i := range s.rollouts {
		if r := &s.rollouts[i]; !r.State.Final() {
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

// decided tells whether the rollout's image has been made current, now or earlier.
func (s *state) decided(r *messages.RolloutRecord) bool {
	return r.ID == s.record.Current.Rollout || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking
}

// dropRetired takes retired nodes out of frozen lists: nothing waits for them any more.
func dropRetired(s *state) step {
	gone := func(n string) bool { return s.retired[n] }
	for _, r := range s.live() {
		if !slices.ContainsFunc(r.Members, gone) {
			continue
		}
		return s.changeRollout(r, func(r *messages.RolloutRecord) { without(r, gone) })
	}
	return step{}
}

// without takes nodes out of a rollout.
func without(r *messages.RolloutRecord, gone func(node string) bool) {
	r.Members = slices.DeleteFunc(slices.Clone(r.Members), gone)
	r.Canaries = slices.DeleteFunc(slices.Clone(r.Canaries), gone)
	r.Failed, r.Trials = maps.Clone(r.Failed), maps.Clone(r.Trials)
	maps.DeleteFunc(r.Failed, func(n, _ string) bool { return gone(n) })
	maps.DeleteFunc(r.Trials, func(n string, _ messages.TrialResult) bool { return gone(n) })
}

// endPassed ends the rollouts that can't become current any more.
func endPassed(s *state) step {
	newest := s.newest()
	for _, r := range s.live() {
		if s.decided(r) {
			continue
		}
		as, why := s.verdict(r)
		if as == "" && newest != nil && newest != r && older(r, newest) {
			as, why = messages.RolloutSuperseded, fmt.Sprintf("build %s (order %d) is newer", newest.Ready.Build, newest.Ready.Order)
		}
		if as == "" {
			continue
		}
		if s.record.Rollout != r.ID {
			return s.say(r, as, why)
		}
		// What the canaries said is kept first: without the preload they say it no more.
		if p := s.progressOf(r, nil); !sameMap(p.trials, r.Trials) {
			return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Trials = p.trials })
		}
		return s.changeFleet(func(f *messages.FleetRecord) { stop(f, r.ID) })
	}
	return step{}
}

// stop takes a rollout out of the fleet record.
func stop(f *messages.FleetRecord, rollout string) {
	f.Rollout = ""
	if f.Preload != nil && f.Preload.Rollout == rollout {
		f.Preload = nil
	}
}

// verdict is how a rollout that is not decided must end by itself, or "".
func (s *state) verdict(r *messages.RolloutRecord) (messages.RolloutState, string) {
	if r.Aborted != "" {
		return messages.RolloutAborted, "aborted by " + r.Aborted
	}
	if r.Ready.Order <= s.record.Highest {
		return messages.RolloutSuperseded, fmt.Sprintf("order %d was flipped already, this is order %d", s.record.Highest, r.Ready.Order)
	}
	if why := s.progressOf(r, nil).trialFailure(); why != "" {
		return messages.RolloutFailed, why
	}
	if r.After == "" {
		return "", ""
	}
	switch b := s.before[messages.RolloutID(r.After, r.Ready.Build)]; b.State {
	case messages.RolloutFailed, messages.RolloutAborted, messages.RolloutRolledBack:
		return messages.RolloutFailed, fmt.Sprintf("its rollout in fleet %s ended as %s: %s", r.After, b.State, b.Why)
	case messages.RolloutSuperseded:
		return messages.RolloutSuperseded, fmt.Sprintf("its rollout in fleet %s was superseded", r.After)
	}
	return "", ""
}

// eligible tells whether a rollout may begin: the fleet before it is done.
func (s *state) eligible(r *messages.RolloutRecord) bool {
	return r.After == "" || s.before[messages.RolloutID(r.After, r.Ready.Build)].State == messages.RolloutDone
}

// newest is the rollout that may come next: of those that can still become current and
// wait for no other fleet, the newest.
func (s *state) newest() *messages.RolloutRecord {
	var out *messages.RolloutRecord
	for _, r := range s.live() {
		if as, _ := s.verdict(r); as == "" && !s.decided(r) && s.eligible(r) {
			out = r
		}
	}
	return out
}

// clearEnded takes a rollout that is over, or whose record is lost, out of the fleet record.
func clearEnded(s *state) step {
	id := s.record.Rollout
	if id == "" {
		return step{}
	}
	if r := s.rollout(id); r != nil && !r.State.Final() {
		return step{}
	}
	return s.changeFleet(func(f *messages.FleetRecord) { stop(f, id) })
}

// clearBases ends the preload of a build's bases when its image has made its way. Until then
// nodes keep them: the image shares their layers.
func clearBases(s *state) step {
	if s.record.Bases == nil {
		return step{}
	}
	r := s.rollout(messages.RolloutID(s.record.Fleet, s.record.Bases.Build))
	if r == nil || !r.State.Final() && !s.decided(r) {
		return step{}
	}
	return s.changeFleet(func(f *messages.FleetRecord) { f.Bases = nil })
}

// open begins the newest rollout: its record gets the frozen members first, then the fleet
// record its preload.
func open(s *state) step {
	for _, r := range s.live() {
		if !s.decided(r) && !s.eligible(r) {
			if out := s.say(r, messages.RolloutWaiting, "waits for its rollout in fleet "+r.After); out.rollout != nil {
				return out
			}
		}
	}
	r := s.newest()
	if r == nil || s.record.Rollout == r.ID && s.record.Preload != nil && len(r.Members) > 0 {
		return step{}
	}
	if len(r.Members) == 0 {
		if len(s.members) == 0 {
			return s.say(r, messages.RolloutWaiting, "the fleet has no members: start a distributor on a node")
		}
		if why := tooMany(r, s.members); why != "" {
			return s.say(r, messages.RolloutWaiting, why)
		}
		return s.changeRollout(r, func(r *messages.RolloutRecord) {
			r.Members = slices.Clone(s.members)
			r.Canaries = s.moreCanaries(r)
			r.State, r.Why = messages.RolloutPreloading, ""
		})
	}
	p := s.progressOf(r, nil)
	return s.changeFleet(func(f *messages.FleetRecord) {
		f.Rollout, f.Preload = r.ID, preload(r, p.order, p.admit(r), 0)
	})
}

// advance moves the open rollout: it flips when everything holds, else admits more nodes.
func advance(s *state) step {
	r := s.newest()
	if r == nil || s.record.Rollout != r.ID || s.record.Preload == nil || s.record.Preload.Rollout != r.ID {
		return step{}
	}
	if more := s.moreCanaries(r); len(more) > 0 {
		return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Canaries = append(slices.Clone(r.Canaries), more...) })
	}
	p := s.progressOf(r, s.record.Preload)
	at, why := s.stage(r, p)
	if at == messages.RolloutFlipped {
		out := s.changeFleet(func(f *messages.FleetRecord) {
			forward(f, fleetImage(r), r.Policy.Keep)
			if r.Policy.Soak > 0 {
				f.Soaking = r.ID
			}
		})
		out.rests = r.ID
		return out
	}
	to := preload(r, p.order, p.admit(r), s.record.Preload.Threshold)
	if to.Threshold != s.record.Preload.Threshold || !slices.Equal(to.Canaries, s.record.Preload.Canaries) {
		return s.changeFleet(func(f *messages.FleetRecord) { f.Preload = to })
	}
	return s.write(r, p, at, why)
}

// stage is the state that a rollout has by what is seen; RolloutFlipped means that the
// policy holds and nothing stands in the way.
func (s *state) stage(r *messages.RolloutRecord, p *progress) (messages.RolloutState, string) {
	if !p.quorum() || !p.passed() {
		return messages.RolloutPreloading, s.why(r, p)
	}
	switch {
	case r.Policy.Approval && r.Approved == "":
		return messages.RolloutApproval, "waits for approval: fenceline approve " + r.ID
	case s.record.Hold != nil:
		return messages.RolloutHeld, fmt.Sprintf("held by %s (%s): fenceline release %s", s.record.Hold.By, s.record.Hold.Reason, r.Fleet)
	case s.record.Soaking != "":
		return messages.RolloutWaiting, "waits for the soak of " + s.record.Soaking
	}
	return messages.RolloutFlipped, ""
}

// write is the step that records progress. Counts, and the text that has them, wait for the
// next report, so that a large fleet does not rewrite the record with each heartbeat.
func (s *state) write(r *messages.RolloutRecord, p *progress, at messages.RolloutState, why string) step {
	now := *r
	now.State, now.Why = at, why
	now.Wave, now.Admitted, now.Present = p.wave, p.admitted, len(p.present)
	now.Failed, now.FailedCount, now.Trials = briefFailed(p.failed), len(p.failed), p.trials
	same := now.State == r.State && sameMap(now.Failed, r.Failed) && sameMap(now.Trials, r.Trials)
	counts := now.Why == r.Why && now.Wave == r.Wave && now.Admitted == r.Admitted && now.Present == r.Present && now.FailedCount == r.FailedCount
	if same && (counts || !s.report) {
		return step{}
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) { *r = now })
}

// sameMap compares; an empty map is like none.
func sameMap[V any](a, b map[string]V) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
