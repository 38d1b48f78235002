package builds_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// TestAWorkerThatCanNotBuildTakesNothing has one without its buildkitd leave requests to another,
// and to itself once that is back, with all attempts left.
func TestAWorkerThatCanNotBuildTakesNothing(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var broken atomic.Bool
	broken.Store(true)
	log := new(queuetest.Output)
	unready := work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if broken.Load() {
			t.Error("it took a build that it can't do")
		}
		return ready(j.Request), nil
	})
	unready.Worker, unready.Logger, unready.Slots = "unready", zerolog.New(log), 3
	unready.Ready = func(context.Context) error {
		if broken.Load() {
			return errors.New("buildkitd is gone")
		}
		return nil
	}
	consume(t, c, unready)
	eventually(t, "it says why it takes none", func() bool {
		return strings.Contains(log.String(), "no build is taken") && strings.Contains(log.String(), "buildkitd is gone")
	})
	stop := consume(t, c, work(succeed))
	if r := ended(t, c, submit(t, c, request("base", 1)).Build); r.State != messages.BuildStateSucceeded || r.Attempt != 1 {
		t.Errorf("beside another worker the record is %+v", r)
	}
	stop()
	waits := submit(t, c, request("base", 2))
	broken.Store(false)
	if r := ended(t, c, waits.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 1 {
		t.Errorf("once it can build again the record is %+v", r)
	}
	if n := strings.Count(log.String(), "no build is taken"); n != 1 {
		t.Errorf("it says so %d times:\n%s", n, log)
	}
}

// TestAWorkerThatCanNotBuildAnyMoreHandsBack loses a worker's buildkitd while it waits for a
// request: the next one costs it no attempt.
func TestAWorkerThatCanNotBuildAnyMoreHandsBack(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var broken atomic.Bool
	lost := work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if broken.Load() {
			t.Error("it took a build that it can't do")
		}
		return ready(j.Request), nil
	})
	looks := make(chan struct{}, 100)
	lost.Ready = func(context.Context) error {
		looks <- struct{}{}
		if broken.Load() {
			return errors.New("buildkitd is gone")
		}
		return nil
	}
	consume(t, c, lost)
	if r := ended(t, c, submit(t, c, request("base", 1)).Build); r.State != messages.BuildStateSucceeded {
		t.Fatalf("the record is %+v", r)
	}
	for range 3 { // before the first request, after it came, before the second
		<-looks
	}
	broken.Store(true)
	second := submit(t, c, request("base", 2))
	<-looks
	<-looks // it has handed the request back and waits
	consume(t, c, work(succeed))
	if r := ended(t, c, second.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 1 {
		t.Errorf("the record is %+v", r)
	}
}
