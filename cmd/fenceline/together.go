package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// defaultGrace is how long builds and requests that are under way may go on after a stop.
const defaultGrace = 30 * time.Second

// stopMargin is what a process may take to end beyond its grace, for handing back and closing.
const stopMargin = 15 * time.Second

// graceFlag is the flag of how long a process that was told to stop may take for what is under way.
func graceFlag(fs *pflag.FlagSet, grace *time.Duration) {
	*grace = defaultGrace
	fs.Var(spanFlag{grace}, "grace", "how long what is under way may go on after a stop, before it is handed back")
	explain(fs, "grace", "A builder hands its builds to others then, and a producer cuts requests off. The process ends at most 15 seconds later: "+
		"give whoever watches over it more than both together (TimeoutStopSec, of which fenceline install takes care: run it again after a change).")
}

// together runs parts until ctx ends or one fails, and returns when all have ended, or stop
// after they were told to: the state is such that a process may be killed at any moment.
func together(ctx context.Context, stop time.Duration, parts ...func(context.Context) error) error {
	g, running := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return ended(running, part(running)) })
	}
	all := make(chan error, 1)
	go func() { all <- g.Wait() }()
	select {
	case err := <-all:
		return err
	case <-running.Done():
	}
	late := time.NewTimer(stop)
	defer late.Stop()
	select {
	case err := <-all:
		return err
	case <-late.C:
	}
	err := fmt.Errorf("not all parts have ended %s after they were told to: what was under way goes on at the next start", stop)
	if ctx.Err() == nil {
		err = errors.Join(context.Cause(running), err) // what ended the others
	}
	return err
}

// ended takes the end that was asked for for no error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}
