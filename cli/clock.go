package cli

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/rs/zerolog"
)

// Clocks. No decision compares those of two machines: what is shown misleads when they differ, and
// so do certificates, credentials and signatures that hold for some time.

const (
	// maxClockOff is how far clocks may differ before doctor says so.
	maxClockOff = 5 * time.Second
	// clockEvery is how often a running role looks.
	clockEvery = 5 * time.Minute
	// clockTime bounds one look.
	clockTime = 10 * time.Second
)

// clockAhead is how far this machine's clock is ahead of the server's at least; less than zero
// where it is behind.
func clockAhead(ctx context.Context, clock *store.Clock) (time.Duration, error) {
	before := time.Now()
	there, err := clock.Now(ctx)
	if err != nil {
		return 0, err
	}
	return ahead(before, there, time.Now()), nil
}

// ahead is how far a clock that was read between before and after is behind these, at least.
func ahead(before, there, after time.Time) time.Duration {
	switch {
	case there.Before(before):
		return before.Sub(there)
	case there.After(after):
		return after.Sub(there)
	}
	return 0
}

// WatchClock warns on log when this machine's clock is off, until ctx ends.
func WatchClock(ctx context.Context, q *queue.Client, log zerolog.Logger) error {
	clock := store.NewClock(q)
	return watchClock(ctx, func(ctx context.Context) (time.Duration, error) { return clockAhead(ctx, clock) }, clockEvery, log)
}

// watchClock looks every so often. Read tells how far this machine's clock is ahead.
func watchClock(ctx context.Context, read func(context.Context) (time.Duration, error), every time.Duration, log zerolog.Logger) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for wrong, allowed := false, false; ; {
		look, cancel := context.WithTimeout(ctx, clockTime)
		off, err := read(look)
		cancel()
		allowed = allowed || err == nil
		switch {
		case errors.Is(err, queue.ErrForbidden) && !allowed: // a node: 'fenceline nodes' tells of its clock
			return nil
		case err != nil: // said where it matters
		case off.Abs() > overview.WrongClock:
			wrong = true
			log.Warn().Stringer("ahead", off.Round(time.Second)).Msg(overview.ClockText("this machine's clock", off))
		case wrong:
			wrong = false
			log.Info().Msg("this machine's clock is right again")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
