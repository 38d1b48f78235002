package builds_test

import (
	"context"
	"errors"
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

// large is a request that small takes, and whose build's record it doesn't.
func large(r *messages.BuildRequested) *messages.BuildRequested {
	r.Pipeline.BuildArgs = map[string]string{"NOTES": strings.Repeat("n", 254<<10)}
	return r
}

// TestARequestThatIsTooLargeForItsRecordIsBuilt has it built, its build ended by a person, wanted by one, and asked for again.
func TestARequestThatIsTooLargeForItsRecordIsBuilt(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	cancelled := submit(t, c, large(request("other", 1)))
	must(t, queueOf(c).Cancel(within(t), cancelled.Build, "ann"))
	first := submit(t, c, large(request("base", 1)))
	person := large(request("base", 1))
	person.Cause, person.Ref, person.RequestedBy = messages.CausePerson, "", "ann"
	if a := submit(t, c, person); a.Build != first.Build {
		t.Errorf("what a person wishes is %+v, not build %s", a, first.Build)
	}
	consume(t, c, work(succeed))
	r := ended(t, c, first.Build)
	if r.State != messages.BuildStateSucceeded || r.Attempt != 1 || r.WantedBy != "ann" || r.Asked != nil {
		t.Errorf("the record is %s after %d attempts, wanted by %q", r.State, r.Attempt, r.WantedBy)
	}
	if r := ended(t, c, cancelled.Build); r.State != messages.BuildStateCancelled {
		t.Errorf("the cancelled one is %s", r.State)
	}
	settled(t, c)
	dead(t, c, 0)
	again, err := queueOf(c).Retry(within(t), first.Build, "ann")
	must(t, err)
	if r := ended(t, c, again.Build); r.State != messages.BuildStateSucceeded || r.Order != first.Order {
		t.Errorf("asked for again it is %s, of order %d", r.State, r.Order)
	}
}

// What producers say for people may be of any length.
func TestWhatIsSaidForPeopleIsCutWhereItDoesNotFit(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	consume(t, c, work(succeed))
	q := request("base", 1)
	q.RequestedBy, q.Matched = strings.Repeat("b", 126<<10), strings.Repeat("m", 126<<10)
	if r := ended(t, c, submit(t, c, q).Build); r.State != messages.BuildStateSucceeded || r.By == "" || len(r.By)+len(r.Matched) > 32<<10 {
		t.Errorf("the record is %s, with %d bytes said", r.State, len(r.By)+len(r.Matched))
	}
}

// TestAFailureThatDoesNotFitBesideTheRequestIsCounted has a request fit its record, but not with what failed.
func TestAFailureThatDoesNotFitBesideTheRequestIsCounted(t *testing.T) {
	c := queuetest.Start(t, small).Client(t)
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) {
		return nil, errors.New(strings.Repeat("x", 1<<20))
	}))
	q := request("base", 1)
	q.Pipeline.BuildArgs = map[string]string{"NOTES": strings.Repeat("n", 248<<10)}
	if r := ended(t, c, submit(t, c, q).Build); r.State != messages.BuildStateFailed || r.Attempt != 3 || !strings.HasPrefix(r.Failure.Reason, "xxx") {
		t.Errorf("the record is %s after %d attempts: %.80s", r.State, r.Attempt, r.Failure.Reason)
	}
	dead(t, c, 1)
}
