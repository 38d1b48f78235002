package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// stoppedAtStart takes whatever ended a start that was told to stop for no error, and logs it.
func stoppedAtStart(ctx context.Context, err error, log zerolog.Logger) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	log.Info().AnErr("start", err).Msg("stopped while it started")
	return nil
}

// runTogether runs parts until ctx ends or one fails, and returns when all have ended, or stop
// after they were told to: the state is such that a process may be killed at any moment.
func runTogether(ctx context.Context, stop time.Duration, parts ...func(context.Context) error) error {
	g, running := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return cli.Ended(running, part(running)) })
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
