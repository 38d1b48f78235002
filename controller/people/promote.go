package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Promote makes an image of one of the fleet's rollouts current, by its digest, image or
// build, hold or not; a hold stays. It waits for new heartbeats, at most three intervals, and
// refuses an image that no quorum of the members reports in them: ErrNotPresent names who
// lacks it. ErrTooLate where the fleet's image was changed during that.
func Promote(ctx context.Context, q *queue.Client, fleet, digest, by string) (messages.FleetRecord, error) {
	r, err := makeCurrent(ctx, q, fleet, digest, by)
	if err != nil {
		return r, fmt.Errorf("promoting %s in fleet %s: %w", digest, fleet, err)
	}
	return r, publish(ctx, q, traceOf(ctx, q, r.Current.Rollout), aboutCurrent(&r, because(ctx, "promoted"), by))
}

// aboutCurrent is the event that tells of the image that was made current, or nil where no rollout
// brought it.
func aboutCurrent(r *messages.FleetRecord, why, by string) *messages.RolloutChanged {
	c := r.Current
	if c.Rollout == "" {
		return nil
	}
	return &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: c.Rollout, Build: c.Build, Order: c.Order, Image: c.Image,
		State: messages.RolloutFlipped, Why: why, Epoch: r.Epoch, By: by,
	}
}

// makeCurrent promotes, without telling of it.
func makeCurrent(ctx context.Context, q *queue.Client, fleet, digest, by string) (messages.FleetRecord, error) {
	e, err := store.Fleets(q).Get(ctx, fleet)
	if errors.Is(err, queue.ErrNotFound) {
		return messages.FleetRecord{}, unknownFleet(ctx, q)
	}
	if err != nil {
		return messages.FleetRecord{}, orBroken(err)
	}
	if means(e.Value.Current, digest) {
		return e.Value, fmt.Errorf("%w: it is current already", ErrNothingToDo)
	}
	to, policy, err := candidate(ctx, q, &e.Value, digest)
	if err != nil {
		return e.Value, err
	}
	after := e.Value
	decide.TakeFence(&after, to, &policy)
	if err := awaitPresence(ctx, q, fleet, to.Image, decide.LocalFor(&after, after.Reference, to.Image), policy); err != nil {
		return e.Value, err
	}
	return changeFleet(ctx, q, fleet, func(r *messages.FleetRecord) error {
		err := promoteAt(r, e.Value.Epoch, to, &policy)
		if err == nil {
			decide.Sign(r, by, because(ctx, "promoted"), time.Now())
		}
		return err
	})
}

// promoteAt makes an image current in a record that has the epoch which it had when the person asked.
// ErrTooLate where it has another, so that a rollback that came meanwhile is not undone.
func promoteAt(r *messages.FleetRecord, epoch uint64, to messages.FleetImage, policy *messages.Policy) error {
	if r.Current.Image == to.Image {
		return fmt.Errorf("%w: it is current already", ErrNothingToDo)
	}
	if r.Epoch != epoch {
		return fmt.Errorf("%w: the fleet was changed to %s meanwhile; look, and promote again", ErrTooLate, r.Current.Image)
	}
	decide.TakeFence(r, to, policy)
	decide.Forward(r, to, max(policy.Keep, len(r.Keep)))
	return nil
}

// candidate finds the image that a person means, among the rollouts and what is kept.
func candidate(ctx context.Context, q *queue.Client, r *messages.FleetRecord, digest string) (messages.FleetImage, messages.Policy, error) {
	all, err := store.Rollouts(q).List(ctx)
	if err != nil {
		return messages.FleetImage{}, messages.Policy{}, err
	}
	var known []messages.FleetImage
	policies := map[messages.Image]messages.Policy{}
	for _, e := range all {
		if e.Value.Fleet == r.Fleet {
			known = append(known, decide.ImageOf(&e.Value))
			policies[e.Value.Ready.Image] = e.Value.Policy
		}
	}
	slices.SortFunc(known, func(a, b messages.FleetImage) int { return cmp.Compare(b.Order, a.Order) })
	known = append(decide.Kept(r), known...)
	for _, i := range known {
		if means(i, digest) {
			policy, ok := policies[i.Image]
			if !ok {
				policy = messages.DefaultPolicy()
			}
			return i, policy, nil
		}
	}
	return messages.FleetImage{}, messages.Policy{}, fmt.Errorf("%w: no rollout of the fleet has it%s", ErrNoImage, listKept(decide.Kept(r)))
}
