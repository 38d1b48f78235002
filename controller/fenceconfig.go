package controller

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/tracing"
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
	look, newer := 1, true
	var restless restlessError
	for {
		if newer && f.driveAtOnce(ctx) {
			look = 2
		}
		err := f.driveOnce(ctx)
		newer = errors.Is(err, errRecordMoved)
		switch {
		case newer: // and the views have it
			continue
		case errors.Is(err, queue.ErrMoved):
			return f.reread(ctx) // the next pass looks at what it is now
		case errors.As(err, &restless) && look == looksInARow:
			return f.noteBroken(ctx, restless)
		case errors.As(err, &restless):
			if look++; look == looksInARow && !queue.Pause(ctx, lag) {
				return context.Cause(ctx)
			}
		default:
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

// seenSetting is what a look saw of the fence config.
type seenSetting struct {
	fence string // FleetRecord.Fence: where it was seen
	fence.Setting
}

// driveAtOnce sets the fence config for a newer decision over what the last look saw, without another look:
// stores are slow, and one that was changed in between refuses it. The record is read: the watch may not have told yet of a
// decision after the one that it told of. It tells whether it tried; whatever came of it, the fence config is read next.
func (f *fleetActor) driveAtOnce(ctx context.Context) (tried bool) {
	last := f.seen
	if last == nil {
		return false
	}
	if s, _, _ := f.views.snapshot(f.fleet, f.clocks); s.Record.Fence != last.fence || !s.Behind() || f.reread(ctx) != nil {
		return false
	}
	s, _, _ := f.views.snapshot(f.fleet, f.clocks)
	r := &s.Record
	if r.Fence != last.fence || !s.Behind() {
		return false
	}
	place, err := f.place(r)
	if err != nil || !decide.Compare(&s, place.Kind, last.Value).Drive {
		return false // the look that follows meets it, and says so
	}
	f.seen = nil
	value := r.FenceValue()
	_ = f.set(ctx, place, value, last.Setting, f.causeOf(r, value)) // the look tells what came of it
	return true
}

// driveOnce reads the fence config, and does what decide.Compare says about its value. A
// restlessError tells that it was written, errRecordMoved that the fleet was decided about in between.
func (f *fleetActor) driveOnce(ctx context.Context) error {
	before, _, _ := f.views.snapshot(f.fleet, f.clocks)
	place, now, err := f.readFence(ctx, &before.Record)
	if errors.Is(err, errRecordMoved) {
		return errRecordMoved
	}
	if err != nil {
		return f.noteBroken(ctx, err)
	}
	// The record is read after the fence config. Whoever decides later than this read looks at the
	// fence config later than the write below, and drives it on.
	if err := f.reread(ctx); err != nil {
		return err
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if s.Record.Epoch != before.Record.Epoch {
		return errRecordMoved
	}
	f.seen = &seenSetting{s.Record.Fence, now}
	f.journal(ctx, place, now.Value, f.causeOf(&s.Record, now.Value))
	c := decide.Compare(&s, place.Kind, now.Value)
	if c.Drive {
		return f.setFence(ctx, place, &s.Record, now)
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
	} else if moved := decide.Moved(&s, c); moved != "" {
		out.Event = decide.AboutFleet(out.Fleet, messages.RolloutFlipped, moved, "")
	}
	return f.write(ctx, out, revision, nil)
}

// setFence writes the fence config over what was read, with the decision that is behind it where the
// fence config keeps that. The next look reads it back.
func (f *fleetActor) setFence(ctx context.Context, place fence.Place, r *messages.FleetRecord, over fence.Setting) error {
	value := r.FenceValue()
	err := f.set(ctx, place, value, over, f.causeOf(r, value))
	if err == nil || errors.Is(err, fence.ErrConflict) {
		return restlessError{value, over.Value}
	}
	return f.noteBroken(ctx, fmt.Errorf("the fence config can't be set: %w", err))
}

// set writes a fence config in less time than the lease lasts.
func (f *fleetActor) set(ctx context.Context, place fence.Place, value string, over fence.Setting, cause fence.Cause) (err error) {
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	ctx, span := tracing.Start(ctx, "set fence config", tracing.Calling, tracing.Saying(tracing.Fleet(f.fleet), tracing.Text("fence.kind", place.Kind), tracing.Text("fence.value", value)))
	defer func() { span.End(err) }()
	began := time.Now()
	defer func() { f.Metrics.Fence(place.Kind, "write", fenceOutcome(err), time.Since(began)) }()
	if b, keeps := place.Backend.(fence.CauseKeeper); keeps {
		_, err = b.SetFor(ctx, value, over.Revision, cause)
	} else {
		_, err = place.Set(ctx, value, over.Revision)
	}
	return err
}

// bounded is the context of one call of a fence config.
func (f *fleetActor) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, f.LeaseTTL/2, slowError{f.LeaseTTL})
}

// slowError is the end of the time that a call of a fence config has.
type slowError struct{ lease time.Duration }

func (e slowError) Error() string {
	return fmt.Sprintf("a call may take half of the controllers' lease of %s: a store that is slower takes a longer lease", e.lease)
}

// Is tells those who ask that time was over.
func (e slowError) Is(target error) bool { return target == context.DeadlineExceeded }

// readFence reads the fence config where the fleet's record says that it lives.
func (f *fleetActor) readFence(ctx context.Context, r *messages.FleetRecord) (fence.Place, fence.Setting, error) {
	place, err := f.place(r)
	if err != nil {
		return place, fence.Setting{}, err
	}
	ctx, cancel := f.bounded(ctx)
	defer cancel()
	ctx, done := f.untilDecided(ctx, r.Epoch)
	defer done()
	began := time.Now()
	now, err := place.Get(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errRecordMoved) { // it was given up, which is no error of the store's
		return place, now, errRecordMoved
	}
	f.Metrics.Fence(place.Kind, "read", fenceOutcome(err), time.Since(began))
	if err != nil {
		err = fmt.Errorf("the fence config can't be read: %w", err)
	}
	return place, now, err
}

// untilDecided is a context that ends with errRecordMoved once the fleet is decided about after an epoch, where the
// fence config can be set for that without the look that it bounds: a look at a slow store is not waited for.
func (f *fleetActor) untilDecided(ctx context.Context, epoch uint64) (_ context.Context, done func()) {
	if f.seen == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	changed, unsubscribe := f.views.subscribe(f.fleet)
	go func() {
		defer unsubscribe()
		for {
			if f.views.fleet(f.fleet).Epoch > epoch {
				cancel(errRecordMoved)
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// place is where the fleet's fence config lives. One that can be one fleet's alone, and is another's, is not
// touched for a fleet that has an image.
func (f *fleetActor) place(r *messages.FleetRecord) (fence.Place, error) {
	place, err := f.Backend(f.fleet, r.Fence)
	if err != nil {
		if r.Fence != "" {
			err = fmt.Errorf("this fleet's fence, by the pipeline file, is %s: %w", r.Fence, err)
		}
		return place, err
	}
	if owner := f.owner(place, f.fleet); owner != f.fleet && r.Epoch > 0 {
		return place, taken(place.Kind, owner)
	}
	return place, nil
}

// causeOf is what a value comes from that a fleet's record decided for; nothing where it decided for another.
func (f *fleetActor) causeOf(r *messages.FleetRecord, value string) fence.Cause {
	c := r.Current
	if value == "" || value != r.FenceValue() {
		return fence.Cause{}
	}
	cause := fence.Cause{Epoch: r.Epoch, Rollout: c.Rollout, Build: c.Build, Order: c.Order}
	if d := r.Decided; d != nil && d.Epoch == r.Epoch {
		cause.By, cause.Reason = d.By, d.Reason
	}
	return cause
}

// numbers are what often is the only difference between two errors of one cause: times, ports, processes.
var numbers = regexp.MustCompile(`[0-9]+`)

// saysAlready tells whether the fleet's record says what is wrong with the fence config. Where other numbers are
// the only difference it does, unless another decision came since: each write of the record is told to every
// node, and of its earlier states only some are kept.
func (f *fleetActor) saysAlready(r *messages.FleetRecord, cause error) bool {
	is, was := cause.Error(), r.Applied.Error
	return is == was || f.told == r.Epoch && numbers.ReplaceAllString(is, "0") == numbers.ReplaceAllString(was, "0")
}

// noteBroken writes into the fleet's record what is wrong with the fence config, and returns it. The
// next pass tries again.
func (f *fleetActor) noteBroken(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	if f.saysAlready(&s.Record, cause) {
		return cause
	}
	out := s.ChangeFleet(func(r *messages.FleetRecord) { r.Applied.Error = cause.Error() })
	if err := f.write(ctx, out, revision, nil); err != nil {
		return errors.Join(cause, err)
	}
	f.told = s.Record.Epoch
	return cause
}
