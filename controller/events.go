package controller

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

// consume opens rollouts from the events, until ctx ends. All controllers share the work.
func (c *Controller) consume(ctx context.Context) error {
	return c.Queue.ConsumeEvents(ctx, store.Controllers, store.ControllerEvents, c.handle)
}

// handle acts on one event. An event may come again, so whatever it asks for is done once.
func (c *Controller) handle(ctx context.Context, r queue.Received) error {
	switch m := r.Payload.(type) {
	case *messages.ImageReady:
		return c.openRollouts(ctx, m, r.Envelope.Traceparent)
	case *messages.BasePinned:
		return c.preloadBases(ctx, m)
	case *messages.BuildFailed:
		return c.endBases(ctx, m.Build)
	case *messages.BuildSuperseded:
		return c.endBases(ctx, m.Build)
	case *messages.BuildCancelled:
		return c.endBases(ctx, m.Build)
	}
	return queue.Permanent(fmt.Errorf("event %T is not one that controllers read", r.Payload))
}

// openRollouts opens a rollout in each fleet that the image is for. A fleet waits for the one
// before it. A rollout carries on the trace of the build that made its image.
func (c *Controller) openRollouts(ctx context.Context, m *messages.ImageReady, traceparent string) error {
	if len(m.Fleets) == 0 {
		return c.endBases(ctx, m.Build)
	}
	fleets, err := store.Believe(ctx, c.Queue, m)
	if err != nil {
		return err
	}
	ready := *m
	ready.Fleets = fleets
	after := ""
	for _, to := range fleets {
		now := time.Now().UTC()
		r := messages.RolloutRecord{
			ID: messages.RolloutID(to.Fleet, m.Build), Fleet: to.Fleet, After: after, Ready: ready, Policy: to.Policy,
			State: messages.RolloutWaiting, Opened: now, Updated: now, Traceparent: c.Tracer.Reserve(traceparent),
		}
		if r.Traceparent != traceparent {
			r.OpenedBy = traceparent
		}
		after = to.Fleet
		revision, err := store.Rollouts(c.Queue).Create(ctx, r.ID, r)
		if errors.Is(err, queue.ErrExists) {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening rollout %s: %w", r.ID, err)
		}
		c.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: r, Revision: revision})
		if err := c.Queue.Publish(ctx, r.Traceparent, decide.AboutRollout(&r, 0)); err != nil {
			c.Logger.Warn().Err(err).Str("rollout", r.ID).Msg("event not published")
		}
	}
	return nil
}
