package decide

import "github.com/fenceline/fenceline/messages"

// AboutRollout is the event that tells of a rollout's state. Epoch is that of the fleet's record.
func AboutRollout(r *messages.RolloutRecord, epoch uint64) *messages.RolloutChanged {
	return &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: r.ID, Build: r.Ready.Build, Order: r.Ready.Order, Image: r.Ready.Image,
		State: r.State, Why: r.Why, Epoch: epoch, Present: r.Present, Members: r.Counts(),
	}
}

// AboutFleet is the event that tells of a decision about a whole fleet. It names the rollout that
// moves, else the one of the current image, and is nil where the fleet has neither.
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
