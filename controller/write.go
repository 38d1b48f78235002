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
	"github.com/fenceline/fenceline/tracing"
)

// write writes one step and tells of it. The revisions are those that it was decided on: of the
// fleet's record, and of its rollouts'. ErrMoved where a record is at another by now.
func (f *fleetActor) write(ctx context.Context, out decide.Step, revision uint64, revisions map[string]uint64) error {
	if out.RestsOn != "" {
		if err := f.rolloutUnmoved(ctx, out.RestsOn, revisions[out.RestsOn]); err != nil {
			return err
		}
	}
	if out.Reopens {
		if err := f.fleetUnmoved(ctx, revision); err != nil {
			return fmt.Errorf("rollout %s is to be flipped again: %w", out.Rollout.ID, err)
		}
	}
	began := time.Now()
	before := f.views.fleet(f.fleet)
	if out.Fleet != nil {
		written, err := store.Fleets(f.Queue).Update(ctx, f.fleet, *out.Fleet, revision)
		if err != nil {
			return err
		}
		f.wroteFleet(ctx, *out.Fleet, written)
		f.traceDecision(&before, out.Fleet, began)
	}
	if r := out.Rollout; r != nil {
		was := f.views.rollout(r.ID) // before the watch can tell of the write
		written, err := store.Rollouts(f.Queue).Update(ctx, r.ID, *r, revisions[r.ID])
		if errors.Is(err, queue.ErrMoved) {
			return errors.Join(err, f.rolloutUnmoved(ctx, r.ID, revisions[r.ID])) // takes the record as it is now into the views
		}
		if err != nil {
			return err
		}
		f.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: *r, Revision: written})
		f.traceRollout(&was, r)
	}
	if out.Event != nil {
		f.publish(ctx, out.Event)
	}
	return nil
}

// fleetUnmoved reads the fleet's record from the leader of its bucket, whose answer is not stale.
// ErrMoved where it is at another revision than the one that was seen.
func (f *fleetActor) fleetUnmoved(ctx context.Context, revision uint64) error {
	e, err := store.Fleets(f.Queue).Current(ctx, f.fleet)
	if err != nil {
		return fmt.Errorf("reading the record of fleet %s before a decision by it: %w", f.fleet, err)
	}
	if e.Revision == revision {
		return nil
	}
	f.views.readFleet(e, revision)
	return fmt.Errorf("fleet %s: %w", f.fleet, queue.ErrMoved)
}

// rolloutUnmoved is fleetUnmoved for a rollout's record, before the fleet's record is written because
// of it. A person who aborts the rollout after this look writes the fleet's record too, so the write
// that follows the look fails.
func (f *fleetActor) rolloutUnmoved(ctx context.Context, id string, revision uint64) error {
	e, err := store.Rollouts(f.Queue).Current(ctx, id)
	if f.lost(id, err) {
		return fmt.Errorf("rollout %s: %w", id, queue.ErrMoved)
	}
	if err != nil {
		return fmt.Errorf("reading rollout %s before a decision about it: %w", id, err)
	}
	if e.Revision == revision {
		return nil
	}
	f.views.readRollout(e, revision)
	return fmt.Errorf("rollout %s: %w", id, queue.ErrMoved)
}

// wroteFleet takes a fleet's record that was written into the views, and announces it to the nodes.
func (f *fleetActor) wroteFleet(ctx context.Context, r messages.FleetRecord, revision uint64) {
	f.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: f.fleet, Value: r, Revision: revision})
	if err := store.AnnounceFleet(f.Queue, messages.FleetChanged{Revision: revision, Record: r}); err != nil {
		f.log.Debug().Err(err).Msg("nodes will read the record by themselves")
	}
}

// publish sends an event on the trace of its rollout. An event that is lost loses nothing else, as
// the records say the same.
func (f *fleetActor) publish(ctx context.Context, e *messages.RolloutChanged) {
	traceparent := f.views.rollout(e.Rollout).Traceparent
	tracing.Logged(f.log.Info().Str("rollout", e.Rollout), messages.TraceID(traceparent)).Str("state", string(e.State)).Str("why", e.Why).Uint64("epoch", e.Epoch).Msg("rollout changed")
	if err := f.Queue.Publish(ctx, traceparent, e); err != nil {
		f.log.Warn().Err(err).Str("rollout", e.Rollout).Msg("event not published")
	}
}

// reread reads the record of the fleet, and of its rollouts that are not over, into the views:
// somebody else has changed one, and the watches may be behind. The leaders are asked, as a lower revision
// than the known one tells that a bucket was made anew or restored.
func (f *fleetActor) reread(ctx context.Context) error {
	before := f.views.fleetRevision(f.fleet)
	e, err := store.Fleets(f.Queue).Current(ctx, f.fleet)
	if errors.Is(err, queue.ErrNotFound) {
		f.views.readFleet(queue.Entry[messages.FleetRecord]{Key: f.fleet, Deleted: true}, before)
	}
	if err != nil {
		return fmt.Errorf("reading the record of fleet %s: %w", f.fleet, err)
	}
	f.views.readFleet(e, before)
	_, _, revisions := f.views.snapshot(f.fleet, f.clocks)
	for id, before := range revisions {
		if r := f.views.rollout(id); r.State.Final() {
			continue
		}
		e, err := store.Rollouts(f.Queue).Current(ctx, id)
		if f.lost(id, err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading rollout %s: %w", id, err)
		}
		f.views.readRollout(e, before)
	}
	return nil
}

// lost tells whether reading a rollout's record gave that it is gone or can't be read, and takes it out
// of the views then, as for a controller that has just started: it must keep nothing else from being
// done.
func (f *fleetActor) lost(id string, err error) bool {
	if !errors.Is(err, messages.ErrMalformed) && !errors.Is(err, queue.ErrNotFound) {
		return false
	}
	f.log.Warn().Err(err).Str("rollout", id).Msg("a rollout is passed over")
	f.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: id, Deleted: true})
	return true
}
