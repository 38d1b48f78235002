package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func untilTold(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// slow takes its time to end.
func slow(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		<-time.After(d)
		return nil
	}
}

// TestRunTogether ends all parts with the first that fails, and waits for none too long.
func TestRunTogether(t *testing.T) {
	broken := errors.New("broken")
	fails := func(context.Context) error { return broken }
	for name, test := range map[string]struct {
		parts []func(context.Context) error
		told  bool // to stop, by who started them
		takes time.Duration
		want  error
		late  bool
	}{
		"all end when told to":      {[]func(context.Context) error{untilTold, untilTold}, true, 0, nil, false},
		"one fails":                 {[]func(context.Context) error{untilTold, fails}, false, 0, broken, false},
		"what is under way may end": {[]func(context.Context) error{untilTold, slow(10 * time.Second)}, true, 10 * time.Second, nil, false},
		"one takes too long":        {[]func(context.Context) error{untilTold, slow(time.Hour)}, true, time.Minute, nil, true},
		"one fails, one is slow":    {[]func(context.Context) error{fails, slow(time.Hour)}, false, time.Minute, broken, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.told {
					cancel()
				}
				began := time.Now()
				err := runTogether(ctx, time.Minute, test.parts...)
				if took := time.Since(began); took != test.takes {
					t.Errorf("it takes %s, want %s", took, test.takes)
				}
				if test.want != nil && !errors.Is(err, test.want) || (err == nil) != (test.want == nil && !test.late) {
					t.Errorf("it ends with %v", err)
				}
				<-time.After(2 * time.Hour) // for the slow one
			})
		})
	}
}
