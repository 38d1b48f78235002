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
	// looksInARow bounds how often one pass looks at a fence config that does not come to rest.
	looksInARow = 3
	// lag is how long the last of these looks waits for a reader that is behind the writer.
	lag = 200 * time.Millisecond
)

// drive compares the fence config with the record, and makes it match. Each call to the
// fence config is shorter than the lease, so that a successor's writes come after it.
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

// restlessError tells that the fence config held something else than it should, and was
// written or somebody else was quicker: it has to be read back. It is an error of the fence
// config where that is so again and again.
type restlessError struct{ want, is string }

func (e restlessError) Error() string {
	return fmt.Sprintf("the fence config was set to %s but reads back as %q: does something else write it, or do reads lag behind?", e.want, e.is)
}

func (f *fleetActor) driveOnce(ctx context.Context) error {
	now, err := f.readFence(ctx)
	if err != nil {
		return f.noteBroken(ctx, fmt.Errorf("the fence config can't be read: %w", err))
	}
	// The record is read after the fence config: a decision that comes later finds the fence
	// config as it is written here, and drives it on.
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
		return f.setFence(ctx, string(s.Record.Current.Image), now)
	}
	if c.Note == nil {
		return nil
	}
	var event *messages.RolloutChanged
	out := s.ChangeFleet(func(r *messages.FleetRecord) {
		r.Applied = *c.Note
		if c.Hold != "" && r.Hold == nil {
			h := decide.NewHold("fenceline", c.Hold, s.Now)
			r.Hold = &h
		}
	})
	if c.Hold != "" {
		event = decide.AboutFleet(out.Fleet, messages.RolloutHeld, c.Hold, "")
	}
	out.Event = event
	return f.write(ctx, out, revision, nil)
}

// setFence writes the fence config over what was read. What it holds then is read back and noted
// by the next look.
func (f *fleetActor) setFence(ctx context.Context, value string, over fence.Setting) error {
	bounded, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	_, err := f.backend.Set(bounded, value, over.Revision)
	if err == nil || errors.Is(err, fence.ErrConflict) {
		return restlessError{value, over.Value}
	}
	return f.noteBroken(ctx, fmt.Errorf("the fence config can't be set: %w", err))
}

func (f *fleetActor) readFence(ctx context.Context) (fence.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	return f.backend.Get(ctx)
}

// noteBroken notes that the fence config can't be reached. The next pass tries again.
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
