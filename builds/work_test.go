package builds_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func succeed(_ context.Context, j *builds.Job) (messages.Payload, error) {
	return ready(j.Request), nil
}

func TestABuildEndsWithOneImageReady(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var tagged atomic.Int32
	w := work(succeed)
	w.Tag = func(_ context.Context, r messages.BuildRecord) error {
		if r.State != messages.BuildStateSucceeded || r.Image != image(1) {
			t.Errorf("tagging from record %+v", r)
		}
		tagged.Add(1)
		return nil
	}
	consume(t, c, w)
	a := submit(t, c, request("base", 1))
	r := ended(t, c, a.Build)
	if r.State != messages.BuildStateSucceeded || r.Image != image(1) || r.Order != a.Order || r.Attempt != 1 {
		t.Errorf("record is %+v", r)
	}
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
	if tagged.Load() != 1 {
		t.Errorf("tagged %d times", tagged.Load())
	}
}

func TestInfrastructureFailuresAreTriedAgain(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Attempt < 3 {
			return nil, errors.New("buildkitd is gone")
		}
		return ready(j.Request), nil
	}))
	a := submit(t, c, request("base", 1))
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 3 || r.LastError != "buildkitd is gone" {
		t.Errorf("record is %+v", r)
	}
}

func TestUsedUpAttemptsFailAndLeaveADeadLetter(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var broken atomic.Bool
	broken.Store(true)
	consume(t, c, work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if broken.Load() {
			return nil, errors.New("buildkitd is gone")
		}
		return ready(j.Request), nil
	}))
	a := submit(t, c, request("base", 1))
	r := ended(t, c, a.Build)
	if r.State != messages.BuildStateFailed || r.Failure == nil || r.Failure.Class != messages.FailureInfrastructure {
		t.Fatalf("record is %+v", r)
	}
	letters, err := queueOf(c).DeadLetters(within(t))
	must(t, err)
	if len(letters) != 1 || letters[0].Reason != "buildkitd is gone" {
		t.Fatalf("dead letters are %+v", letters)
	}
	broken.Store(false)
	must(t, errorOf(queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(letters[0]), "ann")))
	eventually(t, "the requeued request succeeds", func() bool {
		list, err := store.Builds(c).List(t.Context())
		must(t, err)
		for _, e := range list {
			if e.Value.State == messages.BuildStateSucceeded && e.Value.Order == a.Order && e.Key != a.Build {
				return true
			}
		}
		return false
	})
	if letters, err = queueOf(c).DeadLetters(within(t)); err != nil || len(letters) != 0 {
		t.Errorf("dead letters are %+v, %v", letters, err)
	}
}

func TestWhatCannotBeReadBecomesADeadLetter(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))
	_, err := queuetest.JetStream(t, c).Publish(within(t), c.Space().RequestSubject("base"), []byte("{"))
	must(t, err)
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	eventually(t, "there is a dead letter", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		return err == nil && len(letters) == 1 && string(letters[0].Body) == "{"
	})
	letters, err := queueOf(c).DeadLetters(within(t))
	must(t, err)
	must(t, queueOf(c).DropDeadLetter(within(t), builds.LetterName(letters[0])))
	if err := queueOf(c).DropDeadLetter(within(t), builds.LetterName(letters[0])); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("dropping it again: %v", err)
	}
}

func TestCancellingARunningBuildStopsIt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	started := make(chan struct{})
	cause := make(chan error, 1)
	consume(t, c, work(func(ctx context.Context, _ *builds.Job) (messages.Payload, error) {
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	}))
	a := submit(t, c, request("base", 1))
	<-started
	must(t, queueOf(c).Cancel(within(t), a.Build, "ann"))
	if err := <-cause; !errors.Is(err, builds.ErrCancelled) {
		t.Errorf("the build ended because of %v", err)
	}
	if r := ended(t, c, a.Build); r.State != messages.BuildStateCancelled {
		t.Errorf("record is %+v", r)
	}
	if got := endings(t, c); got["build.cancelled "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
	if err := queueOf(c).Cancel(within(t), a.Build, "ann"); err == nil {
		t.Error("cancelling it again is no error")
	}
}

func TestACancelledQueuedBuildIsNeverBuilt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	a := submit(t, c, request("base", 1))
	queued, err := queueOf(c).Queued(within(t))
	must(t, err)
	if len(queued) != 1 || queued[0].Build != a.Build {
		t.Fatalf("queued are %+v", queued)
	}
	must(t, queueOf(c).Cancel(within(t), a.Build, "ann"))
	b := submit(t, c, request("base", 2))
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Build == a.Build {
			t.Error("the cancelled build was built")
		}
		return succeed(ctx, j)
	}))
	ended(t, c, b.Build)
	if got := endings(t, c); got["build.cancelled "+a.Build] != 1 || got["image.ready "+b.Build] != 1 || len(got) != 2 {
		t.Errorf("events are %v", got)
	}
	if err := queueOf(c).Cancel(within(t), "base-nobody", "ann"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("cancelling an unknown build: %v", err)
	}
}

func TestARetryKeepsTheOrder(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Cause == messages.CausePush {
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}}, nil
		}
		return succeed(ctx, j)
	}))
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	for range 2 { // an ended retry may be retried
		b, err := queueOf(c).Retry(within(t), a.Build, "ann")
		must(t, err)
		if b.Order != a.Order || b.Duplicate || b.Build == a.Build {
			t.Errorf("the retry is %+v of %+v", b, a)
		}
		if r := ended(t, c, b.Build); r.State != messages.BuildStateSucceeded || r.Order != a.Order {
			t.Errorf("record is %+v", r)
		}
	}
}

func TestAStoppedWorkerHandsBackWithoutCountingAnAttempt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	started := make(chan struct{}, 1)
	w := work(func(ctx context.Context, _ *builds.Job) (messages.Payload, error) {
		started <- struct{}{}
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, builds.ErrShutdown) {
			t.Errorf("the build ended because of %v", err)
		}
		return nil, ctx.Err()
	})
	w.Grace = 10 * time.Millisecond
	r := request("base", 1)
	r.Pipeline.Attempts = 1
	a := submit(t, c, r)
	for range 3 {
		stop := consume(t, c, w)
		<-started
		stop()
	}
	consume(t, c, work(succeed))
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 4 || r.Returned != 3 {
		t.Errorf("record is %+v", r)
	}
}

func TestAStoppedWorkerFinishesWithinItsGrace(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	started, finish := make(chan struct{}), make(chan struct{})
	stop := consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		close(started)
		<-finish
		return succeed(ctx, j)
	}))
	a := submit(t, c, request("base", 1))
	<-started
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(finish)
	<-stopped
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded {
		t.Errorf("record is %+v", r)
	}
}
