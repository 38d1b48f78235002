package decide

import (
	"github.com/fenceline/fenceline/messages"
)

// changed is the event that tells of a rollout's state.
func AboutRollout(r *messages.RolloutRecord, epoch uint64) *messages.RolloutChanged {
	return &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: r.ID, Build: r.Ready.Build, Order: r.Ready.Order, Image: r.Ready.Image,
		State: r.State, Why: r.Why, Epoch: epoch, Present: r.Present, Members: len(r.Members),
	}
}

// aboutFleet is the event of a decision about a fleet: about its moving rollout, else the
// one that made its current image. It is nil where the fleet has seen neither.
func AboutFleet(r *messages.FleetRecord, as messages.RolloutState, why, by string) *messages.RolloutChanged {
	e := &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: r.Current.Rollout, Build: r.Current.Build, Order: r.Current.Order, Image: r.Current.Image,
		State: as, Why: why, Epoch: r.Epoch, By: by,
	}
	if p := r.Preload; p != nil && r.Rollout == p.Rollout {
		e.Rollout, e.Build, e.Order, e.Image = p.Rollout, p.Build, p.Order, p.Image
	}
	if e.Rollout == "" {
		return nil
	}
	return e
}
