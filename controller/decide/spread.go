package decide

import (
	"cmp"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// spread goes on with the waves of a rollout after its flip, over all that are members now: it admits
// the next members to the current image, until all are admitted. A member that can't have the image
// holds up no wave.
func spread(s *State) Step {
	at := s.Record.Spread
	if at == nil {
		return Step{}
	}
	threshold, all := ^uint64(0), true
	if r := s.rollout(at.Rollout); r != nil && r.ID == s.Record.Current.Rollout {
		threshold, all = s.spreadTo(r, at)
	}
	switch {
	case all:
		return s.ChangeFleet(func(f *messages.FleetRecord) { f.Spread = nil })
	case threshold != at.Threshold:
		return s.ChangeFleet(func(f *messages.FleetRecord) { f.Spread.Threshold = threshold })
	}
	return Step{}
}

// spreadTo is the threshold that admits the wave which is due, and whether that is all members.
func (s *State) spreadTo(r *messages.RolloutRecord, at *messages.Spread) (threshold uint64, all bool) {
	type place struct {
		hash     uint64
		admitted bool
	}
	var places []place
	done := 0
	for _, name := range s.Members {
		n := s.Nodes[name]
		has := n.Has(r.Ready.Image)
		p := place{messages.WaveHash(r.ID, name), has || at.Admits(name)}
		if has || p.admitted && (!n.healthy() || n.problem(r.Ready.Image) != "" || n.Idle >= r.Policy.NodeDeadline.Std()) {
			done++
		}
		places = append(places, p)
	}
	wave := slices.IndexFunc(r.Policy.Waves, func(w int) bool { return done < PercentOf(w, len(places)) })
	if wave < 0 || wave == len(r.Policy.Waves)-1 {
		return at.Threshold, true
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.admitted != b.admitted {
			if a.admitted {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.hash, b.hash)
	})
	threshold = at.Threshold
	for _, p := range places[:PercentOf(r.Policy.Waves[wave], len(places))] {
		if !p.admitted {
			threshold = max(threshold, p.hash)
		}
	}
	return threshold, false
}
