package people

import (
	"context"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Hold stops flips of a fleet until it is released. ErrNothingToDo where it is held.
func Hold(ctx context.Context, q *queue.Client, fleet, reason, by string) (messages.FleetRecord, error) {
	if err := CheckReason(reason); err != nil {
		return messages.FleetRecord{}, fmt.Errorf("holding fleet %s: %w", fleet, err)
	}
	r, err := changeFleet(ctx, q, fleet, func(r *messages.FleetRecord) error {
		if r.Hold != nil {
			return fmt.Errorf("%w: it is held by %s: %s", ErrNothingToDo, r.Hold.By, r.Hold.Reason)
		}
		r.Hold = new(decide.NewHold(by, reason, time.Now()))
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("holding fleet %s: %w", fleet, err)
	}
	return r, publish(ctx, q, traceOf(ctx, q, r.Rollout), decide.AboutFleet(&r, messages.RolloutHeld, "held: "+reason, by))
}

// Release ends a fleet's hold: the newest image that waits follows. ErrNothingToDo where
// there is none.
func Release(ctx context.Context, q *queue.Client, fleet, by string) (messages.FleetRecord, error) {
	r, err := changeFleet(ctx, q, fleet, func(r *messages.FleetRecord) error {
		if r.Hold == nil {
			return fmt.Errorf("%w: it has no hold", ErrNothingToDo)
		}
		r.Released = &messages.Released{By: by, Reason: messages.Said(ctx), At: time.Now().UTC(), Held: r.Hold.At}
		r.Hold = nil
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("releasing fleet %s: %w", fleet, err)
	}
	return r, publish(ctx, q, traceOf(ctx, q, r.Rollout), decide.AboutFleet(&r, messages.RolloutWaiting, because(ctx, "released"), by))
}
