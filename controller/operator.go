package controller

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

// The decisions of people. They are made on the records, over NATS, and hold at once even
// with no controller running; the fence config follows when one acts. By names the person.

// Rollback makes the previous image current, or with to, a digest or image that the fleet
// keeps, that one, and sets a hold. It returns the fleet's record as decided; the fence
// config has followed once Applied.Epoch has reached its Epoch.
func Rollback(ctx context.Context, q *queue.Client, fleet, to, by string) (messages.FleetRecord, error) {
	var left messages.FleetImage
	r, err := decide(ctx, q, fleet, func(r *messages.FleetRecord) error {
		target, err := earlier(r, to)
		if err != nil {
			return err
		}
		left = r.Current
		back(r, target, hold(by, "rolled back from "+left.Image.Digest(), time.Now()))
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("rolling back fleet %s: %w", fleet, err)
	}
	why := fmt.Sprintf("rolled back by %s to %s", by, r.Current.Image)
	if err := mark(ctx, q, left.Rollout, messages.RolloutRolledBack, why); err != nil {
		return r, fmt.Errorf("fleet %s is rolled back to %s, but rollout %s could not be marked: %w", fleet, r.Current.Image, left.Rollout, err)
	}
	if left.Rollout == "" { // promoted or set before fenceline had a rollout: there is none to tell of
		return r, nil
	}
	return r, tell(ctx, q, &messages.RolloutChanged{
		Fleet: fleet, Rollout: left.Rollout, Build: left.Build, Order: left.Order, Image: left.Image,
		State: messages.RolloutRolledBack, Why: why, Epoch: r.Epoch, By: by,
	})
}

// earlier finds the image to go back to.
func earlier(r *messages.FleetRecord, to string) (messages.FleetImage, error) {
	all := kept(r)
	if to == "" {
		if r.Previous.IsZero() {
			return messages.FleetImage{}, fmt.Errorf("%w: the fleet has no previous image%s", ErrNoImage, listKept(all))
		}
		return r.Previous, nil
	}
	if named(r.Current, to) {
		return messages.FleetImage{}, fmt.Errorf("%w: %s is current already", ErrNothingToDo, r.Current.Image)
	}
	for _, i := range all {
		if named(i, to) {
			return i, nil
		}
	}
	return messages.FleetImage{}, fmt.Errorf("%w: %s is not kept by the fleet%s", ErrNoImage, to, listKept(all))
}

// named tells whether a person means this image: by name@digest, digest, or build.
func named(i messages.FleetImage, to string) bool {
	return !i.IsZero() && (string(i.Image) == to || i.Image.Digest() == to || i.Build == to)
}

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

// HoldFleet stops flips of a fleet until it is released. ErrNothingToDo where it is held.
func HoldFleet(ctx context.Context, q *queue.Client, fleet, reason, by string) (messages.FleetRecord, error) {
	r, err := decide(ctx, q, fleet, func(r *messages.FleetRecord) error {
		if r.Hold != nil {
			return fmt.Errorf("%w: it is held by %s: %s", ErrNothingToDo, r.Hold.By, r.Hold.Reason)
		}
		h := hold(by, reason, time.Now())
		r.Hold = &h
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("holding fleet %s: %w", fleet, err)
	}
	return r, tell(ctx, q, aboutFleet(&r, messages.RolloutHeld, "held: "+reason, by))
}

// Release ends a fleet's hold: the newest image that waits follows. ErrNothingToDo where
// there is none.
func Release(ctx context.Context, q *queue.Client, fleet, by string) (messages.FleetRecord, error) {
	r, err := decide(ctx, q, fleet, func(r *messages.FleetRecord) error {
		if r.Hold == nil {
			return fmt.Errorf("%w: it has no hold", ErrNothingToDo)
		}
		r.Hold = nil
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("releasing fleet %s: %w", fleet, err)
	}
	return r, tell(ctx, q, aboutFleet(&r, messages.RolloutWaiting, "released", by))
}

// Approve gives a person's word to a rollout whose policy asks for it.
func Approve(ctx context.Context, q *queue.Client, rollout, by string) (messages.RolloutRecord, error) {
	r, err := decideRollout(ctx, q, rollout, func(r *messages.RolloutRecord) error {
		switch {
		case r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking:
			return fmt.Errorf("%w: it is %s", ErrTooLate, r.State)
		case !r.Policy.Approval:
			return fmt.Errorf("%w: its policy asks for no approval", ErrNothingToDo)
		case r.Approved != "":
			return fmt.Errorf("%w: %s approved it", ErrNothingToDo, r.Approved)
		}
		r.Approved = by
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("approving rollout %s: %w", rollout, err)
	}
	e := changed(&r, 0)
	e.Why, e.By = "approved", by
	return r, tell(ctx, q, e)
}

// Abort ends a rollout that has not been flipped. ErrTooLate where it has: roll back then.
func Abort(ctx context.Context, q *queue.Client, rollout, by string) (messages.RolloutRecord, error) {
	r, err := decideRollout(ctx, q, rollout, func(r *messages.RolloutRecord) error {
		if r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking {
			return fmt.Errorf("%w: it is %s", ErrTooLate, r.State)
		}
		r.Aborted = by
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("aborting rollout %s: %w", rollout, err)
	}
	// A flip that was decided on the record before this write comes first; one that is
	// decided later finds the record moved.
	_, err = decide(ctx, q, r.Fleet, func(f *messages.FleetRecord) error {
		if f.Current.Rollout == rollout {
			return fmt.Errorf("%w: it was flipped just now; fenceline rollback %s undoes that", ErrTooLate, r.Fleet)
		}
		if f.Rollout == rollout {
			stop(f, rollout)
		}
		return nil // written even where it changes nothing: the write proves that no flip came first
	})
	if err != nil {
		return r, fmt.Errorf("aborting rollout %s: %w", rollout, err)
	}
	e := changed(&r, 0)
	e.State, e.Why, e.By = messages.RolloutAborted, "aborted", by
	return r, tell(ctx, q, e)
}

// decide changes a fleet's record, tells its nodes, and returns the record.
func decide(ctx context.Context, q *queue.Client, fleet string, change func(*messages.FleetRecord) error) (messages.FleetRecord, error) {
	e, err := store.Fleets(q).Modify(ctx, fleet, func(r *messages.FleetRecord) error {
		if r.Fleet == "" {
			return ErrUnknownFleet
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
		return e.Value, err
	}
	// It stands, and a lost hint loses nothing: nodes read the record by themselves.
	_ = store.AnnounceFleet(q, messages.FleetChanged{Revision: e.Revision, Record: e.Value})
	return e.Value, nil
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

// decideRollout changes a rollout's record.
func decideRollout(ctx context.Context, q *queue.Client, id string, change func(*messages.RolloutRecord) error) (messages.RolloutRecord, error) {
	if err := messages.CheckID("rollout", id); err != nil {
		return messages.RolloutRecord{}, err
	}
	e, err := store.Rollouts(q).Modify(ctx, id, func(r *messages.RolloutRecord) error {
		if r.ID == "" {
			return fmt.Errorf("%w: fenceline rollouts lists them", ErrUnknownRollout)
		}
		if err := change(r); err != nil {
			return err
		}
		r.Updated = time.Now().UTC()
		return nil
	})
	return e.Value, err
}

// mark ends a rollout's record after a person's decision. One that is lost is none to mark.
func mark(ctx context.Context, q *queue.Client, id string, as messages.RolloutState, why string) error {
	if id == "" {
		return nil
	}
	_, err := decideRollout(ctx, q, id, func(r *messages.RolloutRecord) error {
		r.State, r.Why = as, why
		return nil
	})
	if errors.Is(err, ErrUnknownRollout) {
		return nil
	}
	return err
}

// aboutFleet is the event of a decision about a fleet: about its moving rollout, else the
// one that made its current image. It is nil where the fleet has seen neither.
func aboutFleet(r *messages.FleetRecord, as messages.RolloutState, why, by string) *messages.RolloutChanged {
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

// tell publishes the event of a decision that stands already.
func tell(ctx context.Context, q *queue.Client, e *messages.RolloutChanged) error {
	if e == nil {
		return nil
	}
	if err := q.Publish(ctx, "", e); err != nil {
		return fmt.Errorf("it is decided, but the event about it was not stored: %w", err)
	}
	return nil
}
