package people

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Approve gives a person's word to a rollout whose policy asks for it. The reason of messages.Saying stands in its record.
func Approve(ctx context.Context, q *queue.Client, rollout, by string) (messages.RolloutRecord, error) {
	r, err := changeRollout(ctx, q, rollout, func(r *messages.RolloutRecord) error {
		switch {
		case r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking:
			return fmt.Errorf("%w: it is %s", ErrTooLate, r.State)
		case !r.Policy.Approval:
			return fmt.Errorf("%w: its policy asks for no approval", ErrNothingToDo)
		case r.Approved != "":
			return fmt.Errorf("%w: %s approved it", ErrNothingToDo, r.Approved)
		}
		r.Approved, r.ApprovedWhy = by, messages.Said(ctx)
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("approving rollout %s: %w", rollout, err)
	}
	e := decide.AboutRollout(&r, 0)
	e.Why, e.By = because(ctx, "approved"), by
	return r, publish(ctx, q, r.Traceparent, e)
}

// Abort ends a rollout that has not been flipped. ErrTooLate where it has: roll back then. The reason of messages.Saying stands in its
// record.
func Abort(ctx context.Context, q *queue.Client, rollout, by string) (messages.RolloutRecord, error) {
	r, err := changeRollout(ctx, q, rollout, func(r *messages.RolloutRecord) error {
		if r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking {
			return fmt.Errorf("%w: it is %s", ErrTooLate, r.State)
		}
		r.Aborted, r.AbortedWhy = by, messages.Said(ctx)
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("aborting rollout %s: %w", rollout, err)
	}
	// A flip that was decided on the record before this write comes first; one that is
	// decided later finds the record moved.
	_, err = changeFleet(ctx, q, r.Fleet, func(f *messages.FleetRecord) error {
		if f.Current.Rollout == rollout {
			return fmt.Errorf("%w: it was flipped just now; fenceline rollback %s undoes that", ErrTooLate, r.Fleet)
		}
		if f.Rollout == rollout {
			decide.ClearRollout(f, rollout)
		}
		return nil // written even where it changes nothing: the write proves that no flip came first
	})
	if err != nil {
		return r, fmt.Errorf("aborting rollout %s: %w", rollout, err)
	}
	e := decide.AboutRollout(&r, 0)
	e.State, e.Why, e.By = messages.RolloutAborted, because(ctx, "aborted"), by
	return r, publish(ctx, q, r.Traceparent, e)
}
