package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// write does one step.
func (f *fleetActor) write(ctx context.Context, out decide.Step, revision uint64, revisions map[string]uint64) error {
	if out.RestsOn != "" {
		if err := f.unmoved(ctx, out.RestsOn, revisions[out.RestsOn]); err != nil {
			return err
		}
	}
	if out.Reopens {
		e, err := store.Fleets(f.Queue).Current(ctx, f.fleet)
		if err == nil && e.Revision != revision {
			f.views.seeFleet(e)
			err = queue.ErrMoved
		}
		if err != nil {
			return fmt.Errorf("reading the record of fleet %s before rollout %s is flipped again: %w", f.fleet, out.Rollout.ID, err)
		}
	}
	if out.Fleet != nil {
		written, err := store.Fleets(f.Queue).Update(ctx, f.fleet, *out.Fleet, revision)
		if err != nil {
			return err
		}
		f.wroteFleet(ctx, *out.Fleet, written)
	}
	if r := out.Rollout; r != nil {
		written, err := store.Rollouts(f.Queue).Update(ctx, r.ID, *r, revisions[r.ID])
		if errors.Is(err, queue.ErrMoved) {
			return errors.Join(err, f.unmoved(ctx, r.ID, revisions[r.ID])) // which sees what it is now
		}
		if err != nil {
			return err
		}
		f.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: *r, Revision: written})
	}
	if out.Event != nil {
		f.publish(ctx, out.Event)
	}
	return nil
}

// unmoved reads a rollout's record from where it is not stale. ErrMoved where it is another
// than the one at the revision. A person who changes it writes the fleet's record afterwards,
// so that a change which comes after this look meets the write that follows.
func (f *fleetActor) unmoved(ctx context.Context, id string, revision uint64) error {
	e, err := store.Rollouts(f.Queue).Current(ctx, id)
	if err != nil {
		return fmt.Errorf("reading rollout %s before a decision about it: %w", id, err)
	}
	if e.Revision == revision {
		return nil
	}
	f.views.seeRollout(e)
	return fmt.Errorf("rollout %s: %w", id, queue.ErrMoved)
}

// wroteFleet notes a fleet record that was written, and tells the nodes.
func (f *fleetActor) wroteFleet(ctx context.Context, r messages.FleetRecord, revision uint64) {
	f.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: f.fleet, Value: r, Revision: revision})
	if err := store.AnnounceFleet(f.Queue, messages.FleetChanged{Revision: revision, Record: r}); err != nil {
		f.log.Debug().Err(err).Msg("nodes will read the record by themselves")
	}
}

// publish publishes an event. The records say the same: a lost event loses nothing else.
func (f *fleetActor) publish(ctx context.Context, e *messages.RolloutChanged) {
	f.log.Info().Str("rollout", e.Rollout).Str("state", string(e.State)).Str("why", e.Why).Uint64("epoch", e.Epoch).Msg("rollout changed")
	if err := f.Queue.Publish(ctx, "", e); err != nil {
		f.log.Warn().Err(err).Str("rollout", e.Rollout).Msg("event not published")
	}
}

// reread reads the fleet's records anew, as somebody else has changed one.
func (f *fleetActor) reread(ctx context.Context) error {
	e, err := store.Fleets(f.Queue).Get(ctx, f.fleet)
	if err != nil {
		return err
	}
	f.views.seeFleet(e)
	_, _, revisions := f.views.snapshot(f.fleet, f.clocks)
	for id := range revisions {
		if r := f.views.rollout(id); r.State.Final() {
			continue
		}
		e, err := store.Rollouts(f.Queue).Get(ctx, id)
		if err != nil {
			return err
		}
		f.views.seeRollout(e)
	}
	return nil
}
