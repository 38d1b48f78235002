package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// changeFleet changes a fleet's record, tells its nodes, and returns the record.
func changeFleet(ctx context.Context, q *queue.Client, fleet string, change func(*messages.FleetRecord) error) (messages.FleetRecord, error) {
	e, err := store.Fleets(q).Modify(ctx, fleet, func(r *messages.FleetRecord) error {
		if r.Fleet == "" {
			return ErrUnknownFleet
		}
		if !asSeen(ctx, r) {
			return ErrChanged
		}
		if err := change(r); err != nil {
			return err
		}
		r.Decision = messages.NewID()
		return nil
	})
	if errors.Is(err, ErrUnknownFleet) {
		return e.Value, unknownFleet(ctx, q)
	}
	if err != nil {
		return e.Value, orBroken(err)
	}
	// It stands, and a lost hint loses nothing: nodes read the record by themselves.
	_ = store.AnnounceFleet(q, messages.FleetChanged{Revision: e.Revision, Record: e.Value})
	return e.Value, nil
}

// orBroken tells that a fleet's record can't be read, where that is why.
func orBroken(err error) error {
	if errors.Is(err, messages.ErrMalformed) {
		return fmt.Errorf("%w: %w", ErrBrokenFleet, err)
	}
	return err
}

// unknownFleet names the fleets that there are.
func unknownFleet(ctx context.Context, q *queue.Client) error {
	all, err := store.Fleets(q).List(ctx)
	if err != nil {
		return errors.Join(ErrUnknownFleet, err)
	}
	var known []string
	for _, e := range all {
		known = append(known, e.Key)
	}
	if len(known) == 0 {
		return fmt.Errorf("%w: there are none yet; a fleet begins with its first node or image", ErrUnknownFleet)
	}
	slices.Sort(known)
	return fmt.Errorf("%w: there are %s", ErrUnknownFleet, strings.Join(known, ", "))
}

// changeRollout changes a rollout's record.
func changeRollout(ctx context.Context, q *queue.Client, id string, change func(*messages.RolloutRecord) error) (messages.RolloutRecord, error) {
	if err := messages.CheckID("rollout", id); err != nil {
		return messages.RolloutRecord{}, err
	}
	e, err := store.Rollouts(q).Modify(ctx, id, func(r *messages.RolloutRecord) error {
		if r.ID == "" {
			return fmt.Errorf("%w: fenceline rollouts lists them", ErrUnknownRollout)
		}
		if !rolloutAsSeen(ctx, r) {
			return ErrChanged
		}
		if err := change(r); err != nil {
			return err
		}
		r.Updated = time.Now().UTC()
		return nil
	})
	return e.Value, err
}

// endRollout gives a rollout its last state after a decision about its fleet. A rollout whose record
// is gone needs none.
func endRollout(ctx context.Context, q *queue.Client, id string, as messages.RolloutState, why string) (messages.RolloutRecord, error) {
	if id == "" {
		return messages.RolloutRecord{}, nil
	}
	r, err := changeRollout(ctx, q, id, func(r *messages.RolloutRecord) error {
		r.State, r.Why = as, why
		return nil
	})
	if errors.Is(err, ErrUnknownRollout) {
		err = nil
	}
	return r, err
}

// traceOf is the trace of a rollout, or "" where that can't be read: the event is worth sending
// without.
func traceOf(ctx context.Context, q *queue.Client, rollout string) string {
	if rollout == "" {
		return ""
	}
	e, _ := store.Rollouts(q).Get(ctx, rollout)
	return e.Value.Traceparent
}

// publish sends the event of a decision that stands already, on the trace of the rollout where it is
// about one.
func publish(ctx context.Context, q *queue.Client, traceparent string, e *messages.RolloutChanged) error {
	if e == nil {
		return nil
	}
	if err := q.Publish(ctx, traceparent, e); err != nil {
		return fmt.Errorf("%w, but the event about it was not stored: %w", ErrDecided, err)
	}
	return nil
}
