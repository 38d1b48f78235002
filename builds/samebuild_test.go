package builds_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// askers ask for one commit, each in its own way.
var askers = map[string]func(*messages.BuildRequested){
	"push": func(r *messages.BuildRequested) { r.SetRef(mainRef) },
	"poll": func(r *messages.BuildRequested) {
		r.SetRef(mainRef)
		r.Reason = &messages.Reason{Kind: messages.ReasonPoll}
	},
	"person": func(r *messages.BuildRequested) { r.SetRef(mainRef); r.Cause = messages.CausePerson },
	"commit": func(r *messages.BuildRequested) { r.Cause, r.RequestedBy = messages.CausePerson, "ada" },
	"base": func(r *messages.BuildRequested) {
		r.SetRef(mainRef)
		r.Reason = &messages.Reason{Kind: messages.ReasonBase, Link: "a@b"}
	},
	"schedule": func(r *messages.BuildRequested) {
		r.SetRef(mainRef)
		r.Reason = &messages.Reason{Kind: messages.ReasonSchedule, Link: "now"}
	},
	"tag": func(r *messages.BuildRequested) { r.SetRef(tagRef) },
	"own tag": func(r *messages.BuildRequested) {
		r.SetRef(tagRef)
		r.Reason = &messages.Reason{Kind: messages.ReasonPerson}
	},
}

// asking asks for the first commit of a pipeline.
func asking(pipeline, how string) *messages.BuildRequested {
	r := named(pipeline, 1)
	r.Cause, r.RequestedBy = messages.CausePush, ""
	askers[how](r)
	return r
}

// named asks for the n-th commit by itself.
func named(pipeline string, n int) *messages.BuildRequested {
	r := request(pipeline, n)
	r.Ref, r.Cause, r.RequestedBy = "", messages.CausePerson, "ada"
	r.Pipeline.Branches, r.Pipeline.Tags = []string{"**"}, []string{"v*"}
	return r
}

func ask(t *testing.T, q *builds.Queue, pipeline, how string) builds.Accepted {
	t.Helper()
	r := asking(pipeline, how)
	request := q.Request
	if how == "poll" {
		request = q.RequestHead
	}
	a, err := request(within(t), r, "")
	must(t, err)
	return a
}

// end writes a build's record as a worker would.
func end(t *testing.T, c *queue.Client, a builds.Accepted, pipeline, how string, state messages.BuildState, class messages.FailureClass) {
	t.Helper()
	r := asking(pipeline, how)
	record := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: a.Build, Pipeline: pipeline, Order: a.Order}, Attempt: 1, Request: a.Order,
		State: state, Commit: r.Commit, Ref: r.FullRef(), Cause: r.Cause, Reason: r.Reason, By: r.RequestedBy,
	}
	if class != "" {
		record.Failure = &messages.Failure{Class: class, Reason: "it broke"}
	}
	_, err := store.Builds(c).Create(within(t), a.Build, record)
	must(t, err)
}

// TestTheSameCommitIsOneBuildWhoeverAsksForItFirst has two ask for a commit, each in each way, while the first one's build
// waits or runs, and after each way to end: = is the same build, ! the same, which is not superseded from then on, and + a new one.
// Between them another branch may have been pushed, and a person have asked for another commit.
func TestTheSameCommitIsOneBuildWhoeverAsksForItFirst(t *testing.T) {
	then := []string{"push", "poll", "person", "commit", "base", "schedule", "tag", "own tag"}
	open := map[string]string{
		"push":     "= = = ! + + + +",
		"poll":     "= = = ! + + + +",
		"person":   "= = = ! + + + +",
		"commit":   "= = = = + + + +",
		"base":     "= = = ! = + + +",
		"schedule": "= = = ! + = + +",
		"tag":      "+ + + ! + + = =",
		"own tag":  "+ + + ! + + = =",
	}
	answered := map[string]string{
		"push":     "= = + + + + + +",
		"poll":     "= = + + + + + +",
		"person":   "= = + + + + + +",
		"commit":   "+ = + + + + + +",
		"base":     "= = + + = + + +",
		"schedule": "= = + + + = + +",
		"tag":      "+ + + + + + = +",
		"own tag":  "+ + + + + + = +",
	}
	unanswered := map[string]string{}
	for first := range open {
		unanswered[first] = "+ + + + + + + +"
	}
	for name, state := range map[string]struct {
		state messages.BuildState
		class messages.FailureClass
		want  map[string]string
	}{
		"queued":                  {"", "", open},
		"running":                 {messages.BuildStateRunning, "", open},
		"succeeded":               {messages.BuildStateSucceeded, "", answered},
		"failed by its user":      {messages.BuildStateFailed, messages.FailureUser, answered},
		"cancelled":               {messages.BuildStateCancelled, "", answered},
		"superseded":              {messages.BuildStateSuperseded, "", unanswered},
		"failed by machines":      {messages.BuildStateFailed, messages.FailureInfrastructure, unanswered},
		"queued, others since":    {"", "", open},
		"succeeded, others since": {messages.BuildStateSucceeded, "", answered},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			q, n := builds.New(c), 0
			for first, line := range state.want {
				for i, want := range strings.Fields(line) {
					n++
					pipeline, then := fmt.Sprintf("p%d", n), then[i]
					a := ask(t, q, pipeline, first)
					if state.state != "" {
						end(t, c, a, pipeline, first, state.state, state.class)
					}
					if strings.HasSuffix(name, "others since") {
						other := named(pipeline, 7)
						other.Cause = messages.CausePush
						other.SetRef(releaseRef)
						submit(t, c, other)
						submit(t, c, named(pipeline, 8))
						if then == "commit" {
							want = "+" // else the image of what came between would replace it
						}
					}
					b := ask(t, q, pipeline, then)
					got := "+"
					if b.Duplicate {
						got = "="
						if e, err := store.Builds(c).Get(within(t), b.Build); err == nil && e.Value.WantedBy != "" {
							got = "!"
						}
					}
					if got != want || b.Duplicate && b.Build != a.Build {
						t.Errorf("%s, then %s: %s, want %s (%+v)", first, then, got, want, b)
					}
				}
			}
		})
	}
}

// TestABuildThatAPersonWantsIsNotSuperseded has its commit named while it waits, runs, or is being superseded, by a worker that
// supersedes whatever follows a head.
func TestABuildThatAPersonWantsIsNotSuperseded(t *testing.T) {
	supersede := func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.FollowsHead() && !j.Wanted {
			return &messages.BuildSuperseded{Commit: j.Request.Commit, Head: commit(2)}, nil
		}
		return succeed(ctx, j)
	}
	t.Run("waits", func(t *testing.T) {
		c := queuetest.Start(t).Client(t)
		a := submit(t, c, request("base", 1))
		if b := submit(t, c, named("base", 1)); !b.Duplicate || b.Build != a.Build {
			t.Fatalf("%+v, want build %s", b, a.Build)
		}
		queued, err := queueOf(c).Queued(within(t))
		must(t, err)
		if len(queued) != 1 || queued[0].Build != a.Build {
			t.Errorf("queued are %+v", queued)
		}
		consume(t, c, work(supersede))
		if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.WantedBy != "ada" || r.Attempt != 1 || r.Cause != messages.CausePush {
			t.Errorf("it ended as %+v", r)
		}
	})
	t.Run("runs", func(t *testing.T) {
		c := queuetest.Start(t).Client(t)
		runs, goOn := make(chan struct{}, 9), make(chan struct{})
		consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
			runs <- struct{}{}
			<-goOn
			return supersede(ctx, j)
		}))
		a := submit(t, c, request("base", 1))
		<-runs
		if b := submit(t, c, named("base", 1)); !b.Duplicate || b.Build != a.Build {
			t.Fatalf("%+v, want build %s", b, a.Build)
		}
		close(goOn)
		if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 || r.Failures != 0 {
			t.Errorf("it ended as %+v", r)
		}
	})
	t.Run("is being superseded", func(t *testing.T) {
		c := queuetest.Start(t).Client(t)
		consume(t, c, work(supersede))
		for n := range 20 {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				submit(t, c, request("base", n+10)) // so that it is no duplicate of the last round's
				a := submit(t, c, request("base", 1))
				b := submit(t, c, named("base", 1))
				if r := ended(t, c, b.Build); r.State != messages.BuildStateSucceeded {
					t.Errorf("after %+v, %+v ended as %s", a, b, r.State)
				}
			})
		}
	})
	t.Run("is cancelled", func(t *testing.T) {
		c := queuetest.Start(t).Client(t)
		a := submit(t, c, request("base", 1))
		submit(t, c, named("base", 1))
		must(t, queueOf(c).Cancel(within(t), a.Build, "ada"))
		consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { return nil, errors.New("it was built") }))
		if r := ended(t, c, a.Build); r.State != messages.BuildStateCancelled {
			t.Errorf("it ended as %+v", r)
		}
	})
}
