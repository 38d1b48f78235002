package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// answerTime bounds the wait for the acting controller: as long as another may take to become it, and a
// question may wait for its turn there.
const answerTime = 30 * time.Second

// ReadFence reads a fleet's fence config, wherever it lives, through the acting controller. ErrNoController
// where none answers.
func ReadFence(ctx context.Context, q *queue.Client, fleet string) (messages.FenceAnswered, error) {
	a, err := askController(ctx, q, messages.FenceAsked{Fleet: fleet})
	if err != nil {
		err = fmt.Errorf("reading the fence config of fleet %s: %w", fleet, err)
	}
	return a, err
}

// SetFence sets a fleet's fence config by hand, through the acting controller, and holds the fleet where the
// value is not its current image. ErrNotPresent where no quorum of the members reports the image; one that
// is not named by its digest is none that anybody could report.
func SetFence(ctx context.Context, q *queue.Client, fleet, value, reason, by string) (messages.FenceAnswered, error) {
	return setFence(ctx, q, fleet, messages.FenceSet{Value: value, By: by, Reason: reason}, func(r *messages.FleetRecord) error {
		if messages.IsLocal(value) {
			for _, image := range r.Wanted() {
				if value == r.LocalName(image) {
					named := *r
					named.Reference = messages.ReferenceLocal
					return quorumHolds(ctx, q, &named, messages.FleetImage{Image: image})
				}
			}
			return fmt.Errorf("%w: %s is the local name of no image that nodes of this fleet keep", ErrNotPresent, value)
		}
		image, err := messages.ParseImage(value)
		if err != nil {
			return fmt.Errorf("%w: nodes report images by digest alone: %w", ErrNotPresent, err)
		}
		return quorumHolds(ctx, q, r, messages.FleetImage{Image: image})
	})
}

// ForceFence is SetFence for a value that too few members have, or that nobody knows of.
func ForceFence(ctx context.Context, q *queue.Client, fleet, value, reason, by string) (messages.FenceAnswered, error) {
	return setFence(ctx, q, fleet, messages.FenceSet{Value: value, By: by, Reason: reason}, func(*messages.FleetRecord) error { return nil })
}

func setFence(ctx context.Context, q *queue.Client, fleet string, set messages.FenceSet, check func(*messages.FleetRecord) error) (messages.FenceAnswered, error) {
	a, err := func() (messages.FenceAnswered, error) {
		if err := fence.CheckValue(set.Value); err != nil {
			return messages.FenceAnswered{}, err
		}
		e, err := store.Fleets(q).Get(ctx, fleet)
		if errors.Is(err, queue.ErrNotFound) {
			return messages.FenceAnswered{}, unknownFleet(ctx, q)
		}
		if err == nil {
			err = check(&e.Value)
		}
		if err != nil {
			return messages.FenceAnswered{}, orBroken(err)
		}
		return askController(ctx, q, messages.FenceAsked{Fleet: fleet, Set: &set})
	}()
	if err != nil {
		err = fmt.Errorf("setting the fence config of fleet %s: %w", fleet, err)
	}
	return a, err
}

// askController puts a question to the acting controller.
func askController(ctx context.Context, q *queue.Client, asked messages.FenceAsked) (messages.FenceAnswered, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	a, err := store.AskFence(ctx, q, asked)
	switch {
	case errors.Is(err, queue.ErrNobody):
		return a, fmt.Errorf("%w within %s: start one, or give its user the permissions of 'fenceline init'", ErrNoController, answerTime)
	case errors.Is(err, queue.ErrUnanswered) && asked.Set != nil:
		return a, fmt.Errorf("%w within %s, though it heard the question: whether the value was set, 'fenceline config get' tells", ErrNoController, answerTime)
	case errors.Is(err, queue.ErrUnanswered):
		return a, fmt.Errorf("%w within %s, though it heard the question: see 'fenceline status'", ErrNoController, answerTime)
	}
	return a, err
}
