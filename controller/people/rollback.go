package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Rollback makes the previous image current, or with to, a digest or image that the fleet
// keeps, that one, and sets a hold. It returns the fleet's record as decided; the fence
// config has followed once Applied.Epoch has reached its Epoch. ErrNotPresent where no quorum of the
// members reports the image: by heartbeats that are stored, else by new ones, at most three intervals.
func Rollback(ctx context.Context, q *queue.Client, fleet, to, by string) (messages.FleetRecord, error) {
	return rollback(ctx, q, fleet, to, by, func(r *messages.FleetRecord, target messages.FleetImage) error {
		return quorumHolds(ctx, q, r, target)
	})
}

// ForceRollback is Rollback to an image that too few members have, or that nobody knows of.
func ForceRollback(ctx context.Context, q *queue.Client, fleet, to, by string) (messages.FleetRecord, error) {
	return rollback(ctx, q, fleet, to, by, func(*messages.FleetRecord, messages.FleetImage) error { return nil })
}

// quorumHolds returns ErrNotPresent where a fleet that has members has no quorum that holds an image.
// The quorum is that of the image's policy, else of the current one's.
func quorumHolds(ctx context.Context, q *queue.Client, r *messages.FleetRecord, target messages.FleetImage) error {
	policy := messages.DefaultPolicy()
	for _, id := range []string{target.Rollout, r.Current.Rollout} {
		if id == "" {
			continue
		}
		if e, err := store.Rollouts(q).Get(ctx, id); err == nil {
			policy = e.Value.Policy
			break
		}
	}
	a, err := newAudience(ctx, q, r.Fleet, target.Image, policy)
	switch {
	case errors.Is(err, queue.ErrUndeclared): // who is a member was lost: that must keep nobody from going back
		return nil
	case err != nil || len(a.members) == 0:
		return err
	}
	a.local = decide.LocalFor(r, r.Reference, target.Image)
	a.remember(ctx, q, r.Fleet)
	if len(a.members)-len(a.lacks()) >= a.needed {
		return nil
	}
	clear(a.said) // those that said something else may have fetched it since
	clear(a.has)
	return a.await(ctx, q, r.Fleet)
}

// rollback decides once check has allowed the image.
func rollback(ctx context.Context, q *queue.Client, fleet, to, by string, check func(*messages.FleetRecord, messages.FleetImage) error) (messages.FleetRecord, error) {
	failed := func(r messages.FleetRecord, err error) (messages.FleetRecord, error) {
		return r, fmt.Errorf("rolling back fleet %s: %w", fleet, err)
	}
	e, err := store.Fleets(q).Get(ctx, fleet)
	if errors.Is(err, queue.ErrNotFound) {
		return failed(e.Value, unknownFleet(ctx, q))
	}
	if err != nil {
		return failed(e.Value, orBroken(err))
	}
	allowed, err := imageToGoBackTo(&e.Value, to)
	if err == nil {
		err = check(&e.Value, allowed)
	}
	if err != nil {
		return failed(e.Value, err)
	}
	var left messages.FleetImage
	r, err := changeFleet(ctx, q, fleet, func(r *messages.FleetRecord) error {
		target, err := imageToGoBackTo(r, to)
		if err != nil {
			return err
		}
		if target.Image != allowed.Image {
			return fmt.Errorf("%w: the fleet was changed to %s meanwhile; look, and roll back again", ErrTooLate, r.Current.Image)
		}
		left = r.Current
		decide.Back(r, target, decide.NewHold(by, because(ctx, "rolled back from "+left.Image.Digest()), time.Now()))
		return nil
	})
	if err != nil {
		return failed(r, err)
	}
	why := because(ctx, fmt.Sprintf("rolled back by %s to %s", by, r.Current.Image))
	ended, err := endRollout(ctx, q, left.Rollout, messages.RolloutRolledBack, why)
	if err != nil {
		return r, fmt.Errorf("fleet %s is rolled back to %s, but rollout %s could not be marked: %w", fleet, r.Current.Image, left.Rollout, err)
	}
	if left.Rollout == "" { // promoted or set before fenceline had a rollout: there is none to tell of
		return r, nil
	}
	return r, publish(ctx, q, ended.Traceparent, &messages.RolloutChanged{
		Fleet: fleet, Rollout: left.Rollout, Build: left.Build, Order: left.Order, Image: left.Image,
		State: messages.RolloutRolledBack, Why: why, Epoch: r.Epoch, By: by, To: r.Current,
	})
}

// imageToGoBackTo is the image that a person means by to, of those that the fleet keeps; "" means
// the previous one.
func imageToGoBackTo(r *messages.FleetRecord, to string) (messages.FleetImage, error) {
	all := decide.Kept(r)
	if to == "" {
		if r.Previous.IsZero() {
			return messages.FleetImage{}, fmt.Errorf("%w: the fleet has no previous image%s", ErrNoImage, listKept(all))
		}
		return r.Previous, nil
	}
	if means(r.Current, to) {
		return messages.FleetImage{}, fmt.Errorf("%w: %s is current already", ErrNothingToDo, r.Current.Image)
	}
	for _, i := range all {
		if means(i, to) {
			return i, nil
		}
	}
	return messages.FleetImage{}, fmt.Errorf("%w: %s is not kept by the fleet%s", ErrNoImage, to, listKept(all))
}

// means tells whether a person means this image: by name@digest, digest, or build.
func means(i messages.FleetImage, to string) bool {
	return !i.IsZero() && (string(i.Image) == to || i.Image.Digest() == to || i.Build == to)
}

// listKept ends an error with what the fleet keeps.
func listKept(all []messages.FleetImage) string {
	if len(all) == 0 {
		return ", and keeps none"
	}
	var out []string
	for _, i := range all {
		out = append(out, i.Image.Digest())
	}
	return "; it keeps " + strings.Join(out, ", ")
}
