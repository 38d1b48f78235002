package builds_test

import (
	"context"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestAHeadIsAskedForUnlessItHasABuild has a history of a pipeline, and then its head looked at.
func TestAHeadIsAskedForUnlessItHasABuild(t *testing.T) {
	push := func(n int) func(*messages.BuildRequested) {
		return func(r *messages.BuildRequested) { r.Commit = commit(n) }
	}
	person := func(n int, ref string) func(*messages.BuildRequested) {
		return func(r *messages.BuildRequested) { r.Commit, r.Ref, r.Cause = commit(n), ref, messages.CausePerson }
	}
	upload := func(r *messages.BuildRequested) {
		r.Commit, r.Ref, r.Cause, r.Context = "", "", messages.CausePerson, "context-abc"
	}
	retry := func(n int, order uint64) func(*messages.BuildRequested) {
		return func(r *messages.BuildRequested) { r.Commit, r.Cause, r.Order = commit(n), messages.CauseRetry, order }
	}
	succeeded, superseded, broken := messages.BuildStateSucceeded, messages.BuildStateSuperseded, messages.BuildStateFailed
	for name, test := range map[string]struct {
		history []func(*messages.BuildRequested)
		states  []messages.BuildState // of the history's builds; "" for none
		class   messages.FailureClass // of those that failed
		asked   bool                  // for commit 1, the head
	}{
		"nothing was pushed yet":                   {asked: true},
		"the head's push waits":                    {history: []func(*messages.BuildRequested){push(1)}},
		"the head was built":                       {[]func(*messages.BuildRequested){push(1)}, []messages.BuildState{succeeded}, "", false},
		"the head was not told of":                 {[]func(*messages.BuildRequested){push(2)}, []messages.BuildState{succeeded}, "", true},
		"the branch went back to it":               {[]func(*messages.BuildRequested){push(1), push(2)}, []messages.BuildState{succeeded, succeeded}, "", true},
		"the head's build was superseded":          {[]func(*messages.BuildRequested){push(1)}, []messages.BuildState{superseded}, "", true},
		"it failed by the user's fault":            {[]func(*messages.BuildRequested){push(1)}, []messages.BuildState{broken}, messages.FailureUser, false},
		"it failed by the machines' fault":         {[]func(*messages.BuildRequested){push(1)}, []messages.BuildState{broken}, messages.FailureInfrastructure, true},
		"it was cancelled":                         {[]func(*messages.BuildRequested){push(1)}, []messages.BuildState{messages.BuildStateCancelled}, "", false},
		"a person asked for it":                    {[]func(*messages.BuildRequested){person(1, "")}, []messages.BuildState{succeeded}, "", false},
		"a person asked for the head, this one":    {[]func(*messages.BuildRequested){person(1, "refs/heads/main")}, []messages.BuildState{succeeded}, "", false},
		"a person asked for another commit since":  {[]func(*messages.BuildRequested){push(1), person(2, "")}, []messages.BuildState{succeeded, succeeded}, "", false},
		"a person sent a folder since":             {[]func(*messages.BuildRequested){push(1), upload}, []messages.BuildState{succeeded, succeeded}, "", false},
		"a folder alone was sent":                  {[]func(*messages.BuildRequested){upload}, []messages.BuildState{succeeded}, "", true},
		"an older one was asked for again since":   {[]func(*messages.BuildRequested){push(2), push(1), retry(2, 1)}, []messages.BuildState{succeeded, succeeded, succeeded}, "", false},
		"a folder since the branch went elsewhere": {[]func(*messages.BuildRequested){push(1), push(2), upload}, []messages.BuildState{succeeded, succeeded, succeeded}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			q := builds.New(c)
			var last string
			for i, change := range test.history {
				r := request("base", 1)
				change(r)
				a, err := q.Request(within(t), r, "")
				must(t, err)
				if last = a.Build; i < len(test.states) && test.states[i] != "" {
					record := messages.BuildRecord{BuildRef: messages.BuildRef{Build: r.Build, Pipeline: "base", Order: a.Order}, State: test.states[i], Commit: r.Commit, Ref: r.Ref, Cause: r.Cause}
					if test.class != "" {
						record.Failure = &messages.Failure{Class: test.class, Reason: "it broke"}
					}
					_, err := store.Builds(c).Create(within(t), r.Build, record)
					must(t, err)
				}
			}
			head := request("base", 1)
			a, err := q.RequestHead(within(t), head, "")
			must(t, err)
			if a.Duplicate == test.asked || test.asked && a.Build != head.Build {
				t.Errorf("%+v after build %s; want that it is asked for: %v", a, last, test.asked)
			}
			again, err := q.RequestHead(within(t), request("base", 1), "")
			must(t, err)
			if !again.Duplicate {
				t.Errorf("seen again: %+v", again)
			}
		})
	}
}

// TestAHeadSeenByManyIsBuiltOnce has many see it at one time, and its push told, too.
func TestAHeadSeenByManyIsBuiltOnce(t *testing.T) {
	s := queuetest.Start(t)
	var mu sync.Mutex
	asked := 0
	var all sync.WaitGroup
	for i := range 12 {
		q := builds.New(s.Client(t))
		ask := q.RequestHead
		if i%4 == 0 {
			ask = func(ctx context.Context, r *messages.BuildRequested, trace string) (builds.Accepted, error) {
				return q.Request(ctx, r, trace)
			}
		}
		all.Go(func() {
			a, err := ask(within(t), request("base", 1), "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if !a.Duplicate {
				asked++
			}
		})
	}
	all.Wait()
	if asked != 1 {
		t.Errorf("it is built %d times", asked)
	}
}

// TestALookForAHeadReadsFewRecords looks for a head's build among many, after a retry of the first of them.
func TestALookForAHeadReadsFewRecords(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	retry := request("base", 1)
	retry.Cause, retry.Order = messages.CauseRetry, submit(t, c, request("base", 1)).Order
	submit(t, c, retry)
	for n := range 600 {
		r := request("base", n+1)
		_, err := store.Builds(c).Create(within(t), r.Build, messages.BuildRecord{
			BuildRef: messages.BuildRef{Build: r.Build, Pipeline: "base", Order: uint64(n + 1)}, Cause: r.Cause,
			State: messages.BuildStateSucceeded, Commit: r.Commit, Ref: r.Ref,
		})
		must(t, err)
	}
	sent := func() int64 {
		v, err := s.Server().Varz(nil)
		must(t, err)
		return v.OutMsgs
	}
	before := sent()
	a, err := builds.New(c).RequestHead(within(t), request("base", 600), "")
	must(t, err)
	if n := sent() - before; !a.Duplicate || n > 300 {
		t.Errorf("%+v, for which the server sent %d messages", a, n)
	}
}
