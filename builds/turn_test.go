package builds_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// inTurn asks for the n-th commit of a branch of a pipeline that has each push built.
func inTurn(ref string, n int) *messages.BuildRequested {
	r := of(ref, n)
	r.Pipeline.Concurrency = messages.ConcurrencyQueue
	return r
}

// TestEachPushIsBuiltInItsTurn has several workers and branches, and a build that is tried again.
func TestEachPushIsBuiltInItsTurn(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	var mu sync.Mutex
	running, began, tries := map[string]string{}, map[string][]string{}, 0
	w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		ref, commit := j.Request.FullRef(), j.Request.Commit
		mu.Lock()
		defer mu.Unlock()
		if other := running[ref]; other != "" && other != commit {
			t.Errorf("%s of %s is built beside %s", commit, ref, other)
		}
		if running[ref] = commit; tries == 0 {
			tries++
			return nil, errors.New("the registry is away") // it keeps its turn
		}
		running[ref] = ""
		began[ref] = append(began[ref], commit)
		return succeed(ctx, j)
	})
	w.Slots = 3
	var want []string
	var last []builds.Accepted
	for n := range 5 {
		want = append(want, commit(n+1))
		last = []builds.Accepted{submit(t, c, inTurn(mainRef, n+1)), submit(t, c, inTurn(releaseRef, n+1))}
	}
	for range 2 {
		consume(t, s.Connect(t), w)
	}
	for _, a := range last {
		if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt > 2 {
			t.Errorf("record is %+v", r)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, ref := range []string{mainRef, releaseRef} {
		if !slices.Equal(began[ref], want) {
			t.Errorf("of %s were built %v", ref, began[ref])
		}
	}
}

// TestWhatWaitsForItsTurnHoldsNobody has one push run, another wait, and a person who ends the wait of a third.
func TestWhatWaitsForItsTurnHoldsNobody(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	goOn := make(chan struct{})
	consume(t, c, func() builds.Work {
		w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
			if j.Request.Commit == commit(1) && j.Request.FullRef() == mainRef {
				<-goOn
			}
			return succeed(ctx, j)
		})
		w.Slots = 2
		return w
	}())
	first, second, third := submit(t, c, inTurn(mainRef, 1)), submit(t, c, inTurn(mainRef, 2)), submit(t, c, inTurn(mainRef, 3))
	person := inTurn(mainRef, 4)
	person.Cause = messages.CausePerson
	for _, a := range []builds.Accepted{submit(t, c, of("refs/heads/other", 1)), submit(t, c, person)} {
		ended(t, c, a.Build) // by the second slot
	}
	if _, err := store.Builds(c).Get(within(t), second.Build); err == nil {
		t.Error("the second push has begun")
	}
	must(t, queueOf(c).Cancel(within(t), second.Build, "ann"))
	close(goOn)
	for build, want := range map[string]messages.BuildState{
		first.Build: messages.BuildStateSucceeded, second.Build: messages.BuildStateCancelled, third.Build: messages.BuildStateSucceeded,
	} {
		if r := ended(t, c, build); r.State != want {
			t.Errorf("build %s is %s, want %s", build, r.State, want)
		}
	}
	settled(t, c)
}

// TestNobodyWaitsForWhatCantBeBuilt has an earlier push whose record nobody can read, which becomes a dead letter.
func TestNobodyWaitsForWhatCantBeBuilt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	first := submit(t, c, inTurn(mainRef, 1))
	_, err := queuetest.JetStream(t, c).Publish(within(t), "$KV."+c.Space().BuildsBucket()+"."+first.Build, []byte("{"))
	must(t, err)
	consume(t, c, work(succeed))
	ended(t, c, submit(t, c, inTurn(mainRef, 2)).Build)
}
