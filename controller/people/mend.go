package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// RepairFleet replaces a fleet's record that can't be read by the last value that can. Where there is none
// any more it is made anew, with a hold, as nobody knows what was decided. ErrNothingToDo where the
// record can be read.
func RepairFleet(ctx context.Context, q *queue.Client, fleet, by string) (messages.FleetRecord, error) {
	r, err := repair(ctx, q, fleet, by)
	if err != nil {
		return r, fmt.Errorf("repairing the record of fleet %s: %w", fleet, err)
	}
	return r, nil
}

func repair(ctx context.Context, q *queue.Client, fleet, by string) (messages.FleetRecord, error) {
	e, err := store.Fleets(q).Current(ctx, fleet)
	switch {
	case err == nil:
		return e.Value, fmt.Errorf("%w: it can be read", ErrNothingToDo)
	case errors.Is(err, queue.ErrNotFound):
		return e.Value, unknownFleet(ctx, q)
	case !errors.Is(err, messages.ErrMalformed):
		return e.Value, err
	}
	r, what, err := lastGood(ctx, q, fleet, by)
	if err != nil {
		return r, err
	}
	r.Decision, r.Mended = messages.NewID(), &messages.Mended{By: by, At: time.Now().UTC(), What: what}
	revision, err := store.Fleets(q).Update(ctx, fleet, r, e.Revision)
	if err == nil {
		_ = store.AnnounceFleet(q, messages.FleetChanged{Revision: revision, Record: r})
	}
	return r, err
}

// lastGood is the last value of a fleet's record that can be read, or a new one, and which it is.
func lastGood(ctx context.Context, q *queue.Client, fleet, by string) (messages.FleetRecord, string, error) {
	past, err := store.Fleets(q).History(ctx, fleet)
	if err != nil {
		return messages.FleetRecord{}, "", err
	}
	for i := len(past) - 1; i >= 0; i-- {
		if r := past[i].Value; r.Validate() == nil {
			return r, fmt.Sprintf("record of %s restored (revision %d)", past[i].Created.UTC().Format(time.RFC3339), past[i].Revision), nil
		}
	}
	rollouts, err := store.Rollouts(q).List(ctx)
	if err != nil {
		return messages.FleetRecord{}, "", err
	}
	r := messages.FleetRecord{Fleet: fleet, ID: messages.NewID(), Hold: new(decide.NewHold(by, "its record was lost and made anew", time.Now()))}
	for _, e := range rollouts {
		if e.Value.Fleet == fleet && !e.Value.FlippedAt.IsZero() {
			r.Highest = max(r.Highest, e.Value.Ready.Order)
		}
	}
	return r, "record made anew: no value that can be read was left", nil
}

// SetOrder sets the highest order that a fleet has been flipped to: newer images, and no others, are
// flipped to from then on. It is refused above the last order that was given, and with ErrOlderCouldFlip
// below those of the fleet's images, unless forced.
func SetOrder(ctx context.Context, q *queue.Client, fleet string, order uint64, force bool, by string) (messages.FleetRecord, error) {
	info, err := q.Info(ctx, q.Space().RequestsStream())
	if err == nil && order > info.Last {
		err = fmt.Errorf("%w: no request has order %d: the last one that was given is %d", ErrNoOrder, order, info.Last)
	}
	var r messages.FleetRecord
	if err == nil {
		r, err = changeFleet(ctx, q, fleet, func(r *messages.FleetRecord) error { return setOrder(r, order, info.Last, force, by) })
	}
	if err != nil {
		return r, fmt.Errorf("setting the highest order of fleet %s: %w", fleet, err)
	}
	return r, nil
}

func setOrder(r *messages.FleetRecord, order, last uint64, force bool, by string) error {
	if r.Highest == order {
		return fmt.Errorf("%w: it is %d already", ErrNothingToDo, order)
	}
	var highest uint64 // of those that can be true
	for _, o := range append([]uint64{r.Highest, r.Current.Order, r.Previous.Order}, orders(r.Keep)...) {
		if o <= last {
			highest = max(highest, o)
		}
	}
	if order < highest && !force {
		return fmt.Errorf("%w: the fleet has had order %d", ErrOlderCouldFlip, highest)
	}
	r.Mended = &messages.Mended{By: by, At: time.Now().UTC(), What: fmt.Sprintf("highest order set from %d to %d", r.Highest, order)}
	r.Highest = order
	return nil
}

func orders(images []messages.FleetImage) []uint64 {
	var out []uint64
	for _, i := range images {
		out = append(out, i.Order)
	}
	return out
}
