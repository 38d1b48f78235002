package builds_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

// small is a server that takes only small messages.
func small(o *server.Options) { o.MaxPayload = 256 << 10 }

func TestAFailureOfAnyLengthEndsItsBuild(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	const n = 20_000
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) {
		f := messages.Failure{
			Class: messages.FailureHooks, Reason: "first" + strings.Repeat("é", 1<<20), Place: strings.Repeat("p", 1<<20),
			Detail: strings.Repeat("o", 1<<20) + "last", Fix: strings.Repeat("f", 1<<20),
		}
		for i := range n {
			f.Findings = append(f.Findings, messages.Finding{File: fmt.Sprint("hook", i), Problem: strings.Repeat("x", 1<<10), Fix: "mend"})
		}
		return &messages.BuildFailed{Failure: f}, nil
	}))
	a := submit(t, c, request("base", 1))
	r := ended(t, c, a.Build)
	f := r.Failure
	if r.State != messages.BuildStateFailed || r.Attempt != 1 || f.Class != messages.FailureHooks || r.Asked == nil {
		t.Fatalf("the record is %s after %d attempts, of class %s", r.State, r.Attempt, f.Class)
	}
	if !strings.HasPrefix(f.Reason, "firsté") || !strings.HasSuffix(f.Detail, "olast") {
		t.Errorf("reason and output are %.20q and %.20q", f.Reason, f.Detail)
	}
	if k := len(f.Findings); f.Findings[0].File != "hook0" || !strings.HasPrefix(f.Findings[k-1].Problem, fmt.Sprint(n-k+1, " more")) || f.Findings[k-1].More != n-k+1 {
		t.Errorf("%d findings, the last of them %+v", k, f.Findings[k-1])
	}
	if got := endings(t, c); got["build.failed "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestAnImageWhoseOutcomeIsTooLargeFailsItsBuild(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	var count atomic.Int32
	consume(t, c, work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		count.Add(1)
		p := ready(j.Request)
		for i := range 4000 {
			p.Bases = append(p.Bases, messages.PinnedBase{Source: fmt.Sprint("docker.io/library/base:", i), Image: image(i)})
		}
		return p, nil
	}))
	a := submit(t, c, request("base", 1))
	r := ended(t, c, a.Build)
	if r.State != messages.BuildStateFailed || count.Load() != 1 || !strings.Contains(r.Failure.Reason, "max_payload") {
		t.Errorf("after %d builds the record is %s: %+v", count.Load(), r.State, r.Failure)
	}
	settled(t, c)
	if got := endings(t, c); got["build.failed "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

// A large request and the outcome don't fit into one record.
func TestTheRequestMakesWayForTheOutcome(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	consume(t, c, work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		p := ready(j.Request)
		for i := range 500 {
			p.Bases = append(p.Bases, messages.PinnedBase{Source: fmt.Sprint("docker.io/library/base:", i), Image: image(i)})
		}
		return p, nil
	}))
	q := request("base", 1)
	q.Pipeline.BuildArgs = map[string]string{"NOTES": strings.Repeat("n", 180<<10)}
	a := submit(t, c, q)
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 1 || r.Asked != nil {
		t.Errorf("the record is %s after %d attempts", r.State, r.Attempt)
	}
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestARequestWhoseRecordIsTooLargeIsADeadLetter(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	consume(t, c, work(succeed))
	q := request("base", 1)
	q.Pipeline.BuildArgs = map[string]string{"NOTES": strings.Repeat("n", 255<<10)}
	submit(t, c, q)
	next := submit(t, c, request("other", 1))
	ended(t, c, next.Build)
	eventually(t, "the request is a dead letter", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		return err == nil && len(letters) == 1 && strings.Contains(letters[0].Reason, q.Build) && strings.Contains(letters[0].Reason, "max_payload")
	})
	settled(t, c)
}
