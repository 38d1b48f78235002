package decide

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// eligible tells whether a rollout may begin: the fleet before it is done.
func (s *State) eligible(r *messages.RolloutRecord) bool {
	return r.After == "" || s.Before[messages.RolloutID(r.After, r.Ready.Build)].State == messages.RolloutDone
}

// newest is the rollout that may come next: of those that can still become current and
// wait for no other fleet, the newest.
func (s *State) newest() *messages.RolloutRecord {
	var out *messages.RolloutRecord
	for _, r := range s.live() {
		if as, _ := s.mustEnd(r); as == "" && !s.wasFlipped(r) && s.eligible(r) {
			out = r
		}
	}
	return out
}

// next is the rollout that moves, or is to begin: the newest, but for one that is nearly there.
func (s *State) next() *messages.RolloutRecord {
	newest, moves := s.newest(), s.rollout(s.Record.Rollout)
	if newest != nil && moves != nil && older(moves, newest) && s.nearlyThere(moves) {
		return moves
	}
	return newest
}

// nearlyThere tells whether the rollout that moves is in its last wave and can still end it: it is
// finished before a newer one begins, as else images that come quickly would keep each other from the
// fleet. One that makes no progress, or waits for anything but its nodes, is not.
func (s *State) nearlyThere(r *messages.RolloutRecord) bool {
	if as, _ := s.mustEnd(r); as != "" || s.wasFlipped(r) || r.State.Final() || len(r.Members) == 0 {
		return false
	}
	if p := s.Record.Preload; p == nil || p.Rollout != r.ID || s.Record.Hold != nil || s.Record.Soaking != "" ||
		r.Policy.Approval && r.Approved == "" || s.applyGap(r) != "" || s.Stalled >= r.Policy.NodeDeadline.Std() {
		return false
	}
	p := s.progressOf(r, s.Record.Preload)
	return p.wave == len(r.Policy.Waves) && p.reachable()
}

// waiting says of the rollouts that may not begin yet what they wait for.
func (s *State) waiting() Step {
	next := s.next()
	for _, r := range s.live() {
		why := ""
		switch {
		case s.wasFlipped(r):
		case !s.eligible(r):
			why = "waits for its rollout in fleet " + r.After
		case next != nil && older(next, r):
			why = "waits for rollout " + next.ID + ", which is nearly there"
		}
		if why == "" {
			continue
		}
		if out := s.setState(r, messages.RolloutWaiting, why); out.Rollout != nil {
			return out
		}
	}
	return Step{}
}

// openNewest begins the newest rollout, in two writes: its record gets the frozen members, then the
// fleet's record gets the preload. Rollouts that may not begin say what they wait for. Nothing begins
// while nodes are still joining.
func openNewest(s *State) Step {
	if out := s.waiting(); out.Rollout != nil {
		return out
	}
	r := s.next()
	if r == nil || s.Record.Rollout == r.ID && s.Record.Preload != nil && len(r.Members) > 0 {
		return Step{}
	}
	if len(r.Members) == 0 {
		if len(s.Members) == 0 {
			return s.setState(r, messages.RolloutWaiting, "the fleet has no members: start a distributor on a node")
		}
		if why := cmp.Or(tooMany(r, s.Members), s.Settling); why != "" {
			return s.setState(r, messages.RolloutWaiting, why)
		}
		return s.changeRollout(r, func(r *messages.RolloutRecord) {
			r.Members = slices.Clone(s.Members)
			r.Canaries = s.moreCanaries(r)
			r.State, r.Why = messages.RolloutPreloading, ""
		})
	}
	p := s.progressOf(r, nil)
	return s.ChangeFleet(func(f *messages.FleetRecord) {
		f.Rollout, f.Preload = r.ID, preloadOf(r, p.order, p.admit(r), 0)
		f.PreloadFrom, f.Pull = r.Policy.PreloadFrom, r.Policy.Pull
	})
}

// countLate adds the members to a rollout that joined since its members were frozen: until it flips,
// each counts.
func (s *State) countLate(r *messages.RolloutRecord) Step {
	counted := map[string]bool{}
	for _, n := range r.Members {
		counted[n] = true
	}
	late := slices.DeleteFunc(slices.Clone(s.Members), func(n string) bool { return counted[n] })
	if len(late) == 0 {
		return Step{}
	}
	all := slices.Sorted(slices.Values(append(late, r.Members...)))
	if why := tooMany(r, all); why != "" {
		return s.setState(r, messages.RolloutWaiting, why)
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Members = all })
}

// flipOrAdmit moves the rollout that is open: it counts members that joined late, names canaries where some are missing, flips when
// everything holds, else admits more nodes, else says how far it is.
func flipOrAdmit(s *State) Step {
	r := s.next()
	if r == nil || s.Record.Rollout != r.ID || s.Record.Preload == nil || s.Record.Preload.Rollout != r.ID || len(r.Members) == 0 {
		return Step{}
	}
	if out := s.countLate(r); out.Rollout != nil {
		return out
	}
	if more := s.moreCanaries(r); len(more) > 0 {
		return s.changeRollout(r, func(r *messages.RolloutRecord) { r.Canaries = append(slices.Clone(r.Canaries), more...) })
	}
	p := s.progressOf(r, s.Record.Preload)
	at, why := s.stage(r, p)
	if at == messages.RolloutFlipped {
		out := s.ChangeFleet(func(f *messages.FleetRecord) {
			TakeFence(f, ImageOf(r), &r.Policy)
			Forward(f, ImageOf(r), r.Policy.Keep)
			Sign(f, "fenceline", "flipped by rollout "+r.ID, s.Now)
			if p.admitted == p.members || p.wave == len(r.Policy.Waves) {
				f.Spread = nil // all are admitted
			}
			if r.Policy.Soak > 0 || r.Policy.Apply != nil {
				f.Soaking = r.ID
			}
		})
		out.RestsOn = r.ID
		return out
	}
	to := preloadOf(r, p.order, p.admit(r), s.Record.Preload.Threshold)
	if to.Threshold != s.Record.Preload.Threshold || !slices.Equal(to.Canaries, s.Record.Preload.Canaries) {
		return s.ChangeFleet(func(f *messages.FleetRecord) { f.Preload = to })
	}
	return s.recordProgress(r, p, at, why)
}

// stage is the state that an open rollout is in, and why. RolloutFlipped means that its policy
// holds and nothing stands in the way of the flip.
func (s *State) stage(r *messages.RolloutRecord, p *progress) (messages.RolloutState, string) {
	if !p.quorum() || !p.passed() {
		return messages.RolloutPreloading, s.waitsFor(r, p)
	}
	gap := s.applyGap(r)
	switch {
	case gap != "":
		return messages.RolloutPreloading, gap
	case r.Policy.Approval && r.Approved == "":
		return messages.RolloutApproval, "waits for approval: fenceline approve " + r.ID
	case s.Record.Hold != nil:
		return messages.RolloutHeld, fmt.Sprintf("held by %s (%s): fenceline release %s", s.Record.Hold.By, s.Record.Hold.Reason, r.Fleet)
	case s.Record.Soaking != "":
		if w := s.rollout(s.Record.Soaking); w != nil && w.Policy.Soak == 0 {
			return messages.RolloutWaiting, "waits until enough nodes have applied the image of " + w.ID
		}
		return messages.RolloutWaiting, "waits for the soak of " + s.Record.Soaking
	}
	return messages.RolloutFlipped, ""
}

// recordProgress is the step that writes how far a rollout is. A new state, failure or trial is
// written at once. Counts, and the text that has them, wait for the next report, so that a large
// fleet does not rewrite the record with each heartbeat.
func (s *State) recordProgress(r *messages.RolloutRecord, p *progress, at messages.RolloutState, why string) Step {
	now := *r
	now.State, now.Why = at, why
	now.Wave, now.Admitted, now.Present = p.wave, p.admitted, len(p.present)
	now.Failed, now.FailedCount, now.Trials = briefFailed(p.failed), len(p.failed), p.trials
	same := now.State == r.State && sameMap(now.Failed, r.Failed) && sameMap(now.Trials, r.Trials)
	counts := now.Why == r.Why && now.Wave == r.Wave && now.Admitted == r.Admitted && now.Present == r.Present && now.FailedCount == r.FailedCount
	if same && (counts || !s.Report) {
		return Step{}
	}
	return s.changeRollout(r, func(r *messages.RolloutRecord) { *r = now })
}

// sameMap compares; an empty map is like none.
func sameMap[V any](a, b map[string]V) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
