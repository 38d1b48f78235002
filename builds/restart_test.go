package builds_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestABuildOutlivesAServerRestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish := make(chan struct{}, 1), make(chan struct{})
	w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		select {
		case started <- struct{}{}:
		default: // the second request's
		}
		<-finish
		return succeed(ctx, j)
	})
	w.AckWait = testTime / 2
	consume(t, c, w)
	a := submit(t, c, request("base", 1))
	<-started
	s.Stop()
	close(finish) // the outcome meets no server
	s.Resume(t)
	if r := ended(t, c, a.Build); r.Attempt != 1 || r.State != messages.BuildStateSucceeded {
		t.Errorf("record is %+v", r)
	}
	b := submit(t, c, request("other", 2))
	eventually(t, "requests are taken again", func() bool {
		e, err := store.Builds(c).Get(t.Context(), b.Build)
		return err == nil && e.Value.Attempt > 0
	})
}

func TestABuildWhoseServerIsAwayTooLongIsBuiltAgainOnce(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, lost := make(chan struct{}), make(chan error, 1)
	var count atomic.Int32
	consume(t, c, shortly(work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if count.Add(1) == 1 {
			close(started)
			<-ctx.Done()
			lost <- context.Cause(ctx)
		}
		return succeed(ctx, j)
	})))
	a := submit(t, c, request("base", 1))
	<-started
	s.Stop()
	if err := <-lost; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("the build ended with %v", err)
	}
	s.Resume(t)
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 || count.Load() != 2 {
		t.Errorf("after %d builds the record is %+v", count.Load(), r)
	}
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestACancelIsHeardAfterARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, cause := make(chan struct{}), make(chan error, 1)
	w := work(func(ctx context.Context, _ *builds.Job) (messages.Payload, error) {
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	w.AckWait = testTime / 2
	consume(t, c, w)
	a := submit(t, c, request("base", 1))
	<-started
	s.Restart(t)
	back(t, c)
	must(t, queueOf(c).Cancel(within(t), a.Build, "ann"))
	if err := <-cause; !errors.Is(err, builds.ErrCancelled) {
		t.Errorf("the build ended with %v", err)
	}
	if got := endings(t, c); got["build.cancelled "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}
