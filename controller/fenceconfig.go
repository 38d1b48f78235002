package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// looksInARow is how often one pass looks at a fence config that does not hold what was written.
	looksInARow = 3
	// lag is the pause before the last of these looks, for a store whose reads lag behind its writes.
	lag = 200 * time.Millisecond
)

// drive compares the fence config with the fleet's record until the two match, or somebody has to be
// told that they don't. Each call to the fence config is given less time than the lease lasts, so
// that a successor writes after it.
func (f *fleetActor) drive(ctx context.Context) error {
	var restless restlessError
	for look := 1; ; {
		err := f.driveOnce(ctx)
		switch {
		case errors.Is(err, queue.ErrMoved):
			return f.reread(ctx) // the next pass looks at what it is now
		case errors.As(err, &restless) && look == looksInARow:
			return f.noteBroken(ctx, restless)
		case errors.As(err, &restless):
			if look++; look == looksInARow && !queue.Pause(ctx, lag) {
				return context.Cause(ctx)
			}
		case !errors.Is(err, errRecordMoved):
			return err
		}
		if err := f.reread(ctx); err != nil {
			return err
		}
	}
}

// errRecordMoved tells that the fleet's record changed while the fence config was read.
var errRecordMoved = errors.New("the fleet record changed in between")

// restlessError tells that the fence config held something else than it should, and was written, by
// us or by somebody who was quicker: it has to be read back. Returned for each of the looks in a
// row, it is what is wrong with the fence config.
type restlessError struct{ want, is string }

func (e restlessError) Error() string {
	return fmt.Sprintf("the fence config was set to %s but reads back as %q: does something else write it, or do reads lag behind?", e.want, e.is)
}

// driveOnce reads the fence config, and does what decide.Compare says about its value. A
// restlessError tells that it was written, errRecordMoved that the fleet was decided about in between.
func (f *fleetActor) driveOnce(ctx context.Context) error {
	now, err := f.readFence(ctx)
	if err != nil {
		return f.noteBroken(ctx, fmt.Errorf("the fence config can't be read: %w", err))
	}
	// The record is read after the fence config. Whoever decides later than this read looks at the
	// fence config later than the write below, and drives it on.
	before, _, _ := f.views.snapshot(f.fleet, f.clocks)
	if err := f.reread(ctx); err != nil {
		return err
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if s.Record.Epoch != before.Record.Epoch {
		return errRecordMoved
	}
	c := decide.Compare(&s, now.Value)
	if c.Drive {
		return f.setFence(ctx, &s.Record, now)
	}
	if c.Note == nil {
		return nil
	}
	out := s.ChangeFleet(func(r *messages.FleetRecord) {
		r.Applied = *c.Note
		if c.Hold != "" && r.Hold == nil {
			r.Hold = new(decide.NewHold("fenceline", c.Hold, s.Now))
		}
	})
	if c.Hold != "" {
		out.Event = decide.AboutFleet(out.Fleet, messages.RolloutHeld, c.Hold, "")
	}
	return f.write(ctx, out, revision, nil)
}

// setFence writes the fence config over what was read, with the decision that is behind it where the
// fence config keeps that. The next look reads it back.
func (f *fleetActor) setFence(ctx context.Context, r *messages.FleetRecord, over fence.Setting) error {
	bounded, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	value := r.FenceValue()
	var err error
	if b, keeps := f.backend.(fence.CauseKeeper); keeps {
		c := r.Current
		_, err = b.SetFor(bounded, value, over.Revision, fence.Cause{Epoch: r.Epoch, Rollout: c.Rollout, Build: c.Build, Order: c.Order})
	} else {
		_, err = f.backend.Set(bounded, value, over.Revision)
	}
	if err == nil || errors.Is(err, fence.ErrConflict) {
		return restlessError{value, over.Value}
	}
	return f.noteBroken(ctx, fmt.Errorf("the fence config can't be set: %w", err))
}

// readFence reads the fence config.
func (f *fleetActor) readFence(ctx context.Context) (fence.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	return f.backend.Get(ctx)
}

// noteBroken writes into the fleet's record what is wrong with the fence config, and returns it. The
// next pass tries again.
func (f *fleetActor) noteBroken(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if s.Record.Applied.Error != cause.Error() {
		out := s.ChangeFleet(func(r *messages.FleetRecord) { r.Applied.Error = cause.Error() })
		if err := f.write(ctx, out, revision, nil); err != nil {
			return errors.Join(cause, err)
		}
	}
	return cause
}
