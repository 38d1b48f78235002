package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// consume opens rollouts from the events, until ctx ends. All controllers share the work.
func (c *Controller) consume(ctx context.Context) error {
	return c.Queue.ConsumeEvents(ctx, store.Controllers, store.ControllerEvents, c.handle)
}

// handle acts on one event. It may come again: whatever it does is done once.
func (c *Controller) handle(ctx context.Context, r queue.Received) error {
	switch m := r.Payload.(type) {
	case *messages.ImageReady:
		return c.announced(ctx, m, r.Envelope.Traceparent)
	case *messages.BasePinned:
		return c.pinned(ctx, m)
	case *messages.BuildFailed:
		return c.clearBases(ctx, m.Build)
	case *messages.BuildSuperseded:
		return c.clearBases(ctx, m.Build)
	case *messages.BuildCancelled:
		return c.clearBases(ctx, m.Build)
	}
	return queue.Permanent(fmt.Errorf("event %T is not one that controllers read", r.Payload))
}

// announced opens a rollout in each fleet that the image is for. A fleet waits for the one
// before it.
func (c *Controller) announced(ctx context.Context, m *messages.ImageReady, traceparent string) error {
	if len(m.Fleets) == 0 {
		return c.clearBases(ctx, m.Build)
	}
	after := ""
	for _, to := range m.Fleets {
		now := time.Now().UTC()
		r := messages.RolloutRecord{
			ID: messages.RolloutID(to.Fleet, m.Build), Fleet: to.Fleet, After: after, Ready: *m, Policy: to.Policy,
			State: messages.RolloutWaiting, Opened: now, Updated: now,
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
		if err := c.Queue.Publish(ctx, traceparent, changed(&r, 0)); err != nil {
			c.Logger.Warn().Err(err).Str("rollout", r.ID).Msg("event not published")
		}
	}
	return nil
}

// pinned lets nodes fetch the bases of a build that has not ended: so many of them at once
// as the first wave and the bound on nodes in flight allow.
func (c *Controller) pinned(ctx context.Context, m *messages.BasePinned) error {
	if b, err := c.build(ctx, m.Build); err != nil || b.Ended() {
		return err
	}
	var images []messages.Image
	for _, base := range m.Bases {
		if base.Image != "" {
			images = append(images, base.Image)
		}
	}
	for _, to := range m.Fleets {
		if !to.Policy.PreloadBases || len(images) == 0 {
			continue
		}
		nodes, err := membersOf(ctx, c.Queue, to.Fleet)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			continue
		}
		k := max(percent(to.Policy.Waves[0], len(nodes)), 1)
		if limit := to.Policy.MaxInFlight; limit > 0 {
			k = min(k, limit)
		}
		bases := messages.BasePreload{Build: m.Build, Images: images, Threshold: messages.WaveThreshold(m.Build, nodes, k)}
		if err := c.setBases(ctx, to.Fleet, func(r *messages.FleetRecord) bool {
			r.Bases = &bases
			return true
		}); err != nil {
			return err
		}
	}
	// Where it failed in between, another controller may have had nothing to clear yet.
	b, err := c.build(ctx, m.Build)
	if err != nil || !b.Ended() || b.State == messages.BuildStateSucceeded {
		return err
	}
	return c.clearBases(ctx, m.Build)
}

// build reads a build's record, which ends before the event about that is published. It is
// zero where there is none.
func (c *Controller) build(ctx context.Context, id string) (messages.BuildRecord, error) {
	e, err := store.Builds(c.Queue).Get(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return messages.BuildRecord{}, nil
	}
	return e.Value, err
}

// clearBases ends the preload of a build's bases, in whichever fleet it is.
func (c *Controller) clearBases(ctx context.Context, build string) error {
	fleets, err := store.Fleets(c.Queue).List(ctx)
	if err != nil {
		return err
	}
	for _, e := range fleets {
		if e.Value.Bases == nil || e.Value.Bases.Build != build {
			continue
		}
		if err := c.setBases(ctx, e.Key, func(r *messages.FleetRecord) bool {
			was := r.Bases != nil && r.Bases.Build == build
			if was {
				r.Bases = nil
			}
			return was
		}); err != nil {
			return err
		}
	}
	return nil
}

// setBases changes a fleet's record and tells its nodes.
func (c *Controller) setBases(ctx context.Context, fleet string, change func(*messages.FleetRecord) bool) error {
	wrote := false
	e, err := store.Fleets(c.Queue).Modify(ctx, fleet, func(r *messages.FleetRecord) error {
		if wrote = change(r); !wrote {
			return queue.ErrUnchanged
		}
		if r.Fleet == "" {
			r.Fleet, r.ID = fleet, messages.NewID()
		}
		r.Decision = messages.NewID()
		return nil
	})
	if err != nil || !wrote {
		return err
	}
	c.views.seeFleet(e)
	return store.AnnounceFleet(c.Queue, messages.FleetChanged{Revision: e.Revision, Record: e.Value})
}
