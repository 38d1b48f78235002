package builds_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go/jetstream"
)

var errAway = errors.New("the registry is away")

func TestInfrastructureIsWaitedForByTheClockAndNotByTheNumberOfTries(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Pipeline.Attempts = messages.DefaultAttempts
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Attempt <= 8 {
			return nil, errAway
		}
		return succeed(ctx, j)
	}))
	got := ended(t, c, submit(t, c, r).Build)
	if got.State != messages.BuildStateSucceeded || got.Attempt != 9 || got.Failures != 8 || got.Failing <= 0 {
		t.Errorf("record is %+v", got)
	}
}

func TestInfrastructureThatStaysAwayIsGivenUpAfterThePipelinesTime(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Pipeline.Attempts, r.Pipeline.RetryFor = messages.DefaultAttempts, messages.Duration(200*time.Millisecond)
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { return nil, errAway }))
	got := ended(t, c, submit(t, c, r).Build)
	if got.State != messages.BuildStateFailed || got.Failure.Class != messages.FailureInfrastructure || got.Failure.Reason != errAway.Error() {
		t.Errorf("record is %+v", got)
	}
	if got.Failing < r.Pipeline.RetryFor || got.Attempt < 2 {
		t.Errorf("given up after %s and %d attempts", got.Failing, got.Attempt)
	}
}

func TestTheAttemptsOfAnOlderProducersRequestDoNotCount(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Pipeline.Attempts, r.Pipeline.RetryFor = 5, 0 // as it writes them for a pipeline that names neither
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Attempt <= 6 {
			return nil, errAway
		}
		return succeed(ctx, j)
	}))
	if got := ended(t, c, submit(t, c, r).Build); got.State != messages.BuildStateSucceeded || got.Failures != 6 {
		t.Errorf("record is %+v", got)
	}
}

func TestABuildEndsWhereThereIsNoRoomForItsLetter(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Limit(t, c.Space().LettersStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 100 })
	r := request("base", 1)
	r.Pipeline.Attempts = 1
	stop := consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { return nil, errAway }))
	got := ended(t, c, submit(t, c, r).Build)
	if got.State != messages.BuildStateFailed || got.Failure.Class != messages.FailureInfrastructure {
		t.Errorf("record is %+v", got)
	}
	stop()
	retried, err := queueOf(c).Retry(within(t), r.Build, "somebody")
	must(t, err)
	consume(t, c, work(succeed))
	if got := ended(t, c, retried.Build); got.State != messages.BuildStateSucceeded {
		t.Errorf("retried, it is %+v", got)
	}
}

func TestAPauseMayBeLongerThanTheLease(t *testing.T) {
	t.Parallel()
	const pause = 5 * time.Second // at most; at least half of it
	c := queuetest.Start(t).Client(t)
	var failed atomic.Int64
	w := shortly(work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Attempt == 1 {
			failed.Store(time.Now().UnixNano())
			return nil, errAway
		}
		if passed := time.Since(time.Unix(0, failed.Load())); passed < pause/2 {
			t.Errorf("tried again after %s", passed)
		}
		return succeed(ctx, j)
	}))
	w.RetryDelay = pause
	if w.AckWait >= pause/2 {
		t.Fatalf("a pause may be shorter than the lease of %s", w.AckWait)
	}
	consume(t, c, w)
	if r := ended(t, c, submit(t, c, request("base", 1)).Build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 {
		t.Errorf("record is %+v", r)
	}
}

func TestALostLeaseIsNoTry(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Pipeline.Attempts = 1
	_, err := store.Builds(c).Create(within(t), r.Build, messages.BuildRecord{
		BuildRef: r.BuildRef(), State: messages.BuildStateRunning, Attempt: 7, Worker: "w0", Claim: "gone",
	})
	must(t, err)
	submit(t, c, r)
	consume(t, c, work(succeed))
	if got := ended(t, c, r.Build); got.State != messages.BuildStateSucceeded || got.Attempt != 8 || got.Failures != 0 {
		t.Errorf("record is %+v", got)
	}
}

func TestABuildWhoseWorkersAllDieOfItEnds(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	_, err := store.Builds(c).Create(within(t), r.Build, messages.BuildRecord{
		BuildRef: r.BuildRef(), State: messages.BuildStateRunning, Attempt: 700, Worker: "w0", Claim: "gone", Failing: messages.DefaultRetryFor,
	})
	must(t, err)
	submit(t, c, r)
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { panic("built once more") }))
	got := ended(t, c, r.Build)
	if got.State != messages.BuildStateFailed || !strings.Contains(got.Failure.Reason, "without a word; the last was w0") {
		t.Errorf("record is %+v", got)
	}
}

func TestAPushWhoseBuildTheMachinesFailedIsBuiltAgain(t *testing.T) {
	for name, test := range map[string]struct {
		fails func() (messages.Payload, error)
		again bool
	}{
		"by infrastructure": {func() (messages.Payload, error) { return nil, errAway }, true},
		"by the user": {func() (messages.Payload, error) {
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}}, nil
		}, false},
		"by its timeout": {func() (messages.Payload, error) {
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureTimeout, Reason: "slow"}}, nil
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			var mended atomic.Bool
			consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				if mended.Load() {
					return succeed(ctx, j)
				}
				return test.fails()
			}))
			r := request("base", 1)
			r.Pipeline.Attempts = 1
			a := submit(t, c, r)
			if got := ended(t, c, a.Build); got.State != messages.BuildStateFailed {
				t.Fatalf("record is %+v", got)
			}
			mended.Store(true)
			b := submit(t, c, request("base", 1))
			if b.Duplicate == test.again || test.again && (b.Repeats != a.Build || b.Order <= a.Order) {
				t.Fatalf("the forge's redelivery is %+v after %+v", b, a)
			}
			if !test.again {
				if b.Ended != messages.BuildStateFailed {
					t.Errorf("it doesn't say that the build failed: %+v", b)
				}
				return
			}
			if got := ended(t, c, b.Build); got.State != messages.BuildStateSucceeded {
				t.Errorf("record is %+v", got)
			}
			if again := submit(t, c, request("base", 1)); !again.Duplicate || again.Build != b.Build || again.Ended != messages.BuildStateSucceeded {
				t.Errorf("once it is built, it is %+v", again)
			}
		})
	}
}

func TestABuildThatCanNotBeDoneYetComesAgainWithoutBlame(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Pipeline.Attempts = 1
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if age, err := j.Age(ctx); err != nil || age < 0 || age > testTime {
			t.Errorf("the request's age is %s, %v", age, err)
		}
		if j.Attempt < 4 {
			return nil, &builds.LaterError{Err: errors.New("not yet"), After: 10 * time.Millisecond}
		}
		return succeed(ctx, j)
	}))
	got := ended(t, c, submit(t, c, r).Build)
	if got.State != messages.BuildStateSucceeded || got.Attempt != 4 || got.Returned != 3 || got.Failures != 0 || got.LastError != "not yet" {
		t.Errorf("record is %+v", got)
	}
}
