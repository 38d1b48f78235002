package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// comparison is what a fence config's value means for the record, and what to do.
type comparison struct {
	write bool              // drive the fence config to the current image
	note  *messages.Applied // what the record is to say, or nil where it says so
	hold  string            // why a hold is to be set, or ""
}

// compare judges a value of the fence config. A value of an earlier decision of ours, or
// the one that was there before the first, is driven to the current image. Any other is a
// person's: it is not fought, until a later decision or a release says to go on.
func compare(s *state, value string) comparison {
	r := &s.record
	want := string(r.Current.Image)
	note := messages.Applied{Epoch: r.Epoch, Value: value}
	known := value == r.Applied.Value && r.Applied.Epoch == r.Epoch
	switch {
	case want == "", value == want:
	case s.ours(value), value == r.Applied.Value && (r.Applied.Epoch < r.Epoch || r.Hold == nil):
		return comparison{write: true}
	default:
		note.Error = fmt.Sprintf("the fence config was set to %q by somebody else; fenceline release %s drives it to %s again", value, r.Fleet, want)
	}
	if r.Applied == note {
		return comparison{}
	}
	c := comparison{note: &note}
	if !known { // else it is held already
		c.hold = note.Error
	}
	return c
}

// ours tells whether a value comes from an earlier decision about this fleet. An empty
// fence config is nobody's decision before the first write, and a person's after it; nor is
// any value somebody's where the first flip came before the first look. An image above the
// highest order comes from a later decision, which a restored record has lost: to go back
// from it is not this controller's to decide.
func (s *state) ours(value string) bool {
	if a := &s.record.Applied; a.Epoch == 0 && (value == "" || a.Value == "") {
		return true
	}
	if value == "" {
		return false
	}
	for _, i := range kept(&s.record) {
		if string(i.Image) == value {
			return true
		}
	}
	for _, r := range s.rollouts {
		if string(r.Ready.Image) == value && !r.FlippedAt.IsZero() && r.Ready.Order <= s.record.Highest {
			return true
		}
	}
	return false
}

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
			return f.broken(ctx, restless)
		case errors.As(err, &restless):
			if look++; look == looksInARow && !pause(ctx, lag) {
				return context.Cause(ctx)
			}
		case !errors.Is(err, errDecided):
			return err
		}
		if err := f.reread(ctx); err != nil {
			return err
		}
	}
}

// errDecided tells that the fleet's record changed while the fence config was read.
var errDecided = errors.New("the fleet record changed in between")

// restlessError tells that the fence config held something else than it should, and was
// written or somebody else was quicker: it has to be read back. It is an error of the fence
// config where that is so again and again.
type restlessError struct{ want, is string }

func (e restlessError) Error() string {
	return fmt.Sprintf("the fence config was set to %s but reads back as %q: does something else write it, or do reads lag behind?", e.want, e.is)
}

// pause waits, and tells whether ctx is still alive.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *fleetActor) driveOnce(ctx context.Context) error {
	now, err := f.read(ctx)
	if err != nil {
		return f.broken(ctx, fmt.Errorf("the fence config can't be read: %w", err))
	}
	// The record is read after the fence config: a decision that comes later finds the fence
	// config as it is written here, and drives it on.
	before, _, _ := f.views.snapshot(f.fleet, f.clocks)
	if err := f.reread(ctx); err != nil {
		return err
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if s.record.Epoch != before.record.Epoch {
		return errDecided
	}
	c := compare(&s, now.Value)
	if c.write {
		return f.set(ctx, string(s.record.Current.Image), now)
	}
	if c.note == nil {
		return nil
	}
	var event *messages.RolloutChanged
	out := s.changeFleet(func(r *messages.FleetRecord) {
		r.Applied = *c.note
		if c.hold != "" && r.Hold == nil {
			h := hold("fenceline", c.hold, s.now)
			r.Hold = &h
		}
	})
	if c.hold != "" {
		event = aboutFleet(out.fleet, messages.RolloutHeld, c.hold, "")
	}
	out.event = event
	return f.write(ctx, out, revision, nil)
}

// set writes the fence config over what was read. What it holds then is read back and noted
// by the next look.
func (f *fleetActor) set(ctx context.Context, value string, over fence.Setting) error {
	bounded, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	_, err := f.backend.Set(bounded, value, over.Revision)
	if err == nil || errors.Is(err, fence.ErrConflict) {
		return restlessError{value, over.Value}
	}
	return f.broken(ctx, fmt.Errorf("the fence config can't be set: %w", err))
}

func (f *fleetActor) read(ctx context.Context) (fence.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, f.LeaseTTL/2)
	defer cancel()
	return f.backend.Get(ctx)
}

// broken notes that the fence config can't be reached. The next pass tries again.
func (f *fleetActor) broken(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if s.record.Applied.Error != cause.Error() {
		out := s.changeFleet(func(r *messages.FleetRecord) { r.Applied.Error = cause.Error() })
		if err := f.write(ctx, out, revision, nil); err != nil {
			return errors.Join(cause, err)
		}
	}
	return cause
}
