package builds_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go/jetstream"
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

// TestNobodyWaitsForWhatCantBeBuilt has an earlier push of the branch that no builder here ever builds, while a build of another
// pipeline, which was asked for before, goes on.
func TestNobodyWaitsForWhatCantBeBuilt(t *testing.T) {
	for name, earlier := range map[string]func(t *testing.T, c *queue.Client){
		"its record can't be read": func(t *testing.T, c *queue.Client) {
			first := submit(t, c, inTurn(mainRef, 1))
			_, err := queuetest.JetStream(t, c).Publish(within(t), store.Builds(c).Subject(first.Build), []byte("{"))
			must(t, err)
		},
		"it can't be read": func(t *testing.T, c *queue.Client) {
			_, err := queuetest.JetStream(t, c).Publish(within(t), c.Space().RequestSubject("base"), []byte("{"))
			must(t, err)
		},
		"it stands on another's subject": func(t *testing.T, c *queue.Client) {
			r := inTurn(mainRef, 1)
			r.Pipeline.Name = "stranger"
			misplaced(t, c, c.Space().RequestSubject("base"), r)
		},
		"it is newer":                   func(t *testing.T, c *queue.Client) { publishNewer(t, c, inTurn(mainRef, 1)) },
		"its record would be too large": func(t *testing.T, c *queue.Client) { submit(t, c, large(inTurn(mainRef, 1))) },
		"its attempts are used up": func(t *testing.T, c *queue.Client) {
			r := inTurn(mainRef, 1)
			r.RequestedBy = "bad luck"
			submit(t, c, r)
		},
		"its attempts are used up, and no letter fits": func(t *testing.T, c *queue.Client) {
			queuetest.Limit(t, c, c.Space().LettersStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 1 })
			r := inTurn(mainRef, 1)
			r.RequestedBy = "bad luck"
			submit(t, c, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t, small).Client(t)
			goOn := make(chan struct{})
			w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				switch {
				case j.Request.Pipeline.Name == "other":
					<-goOn
				case j.Request.RequestedBy == "bad luck":
					return nil, queue.Permanent(errors.New("the registry is gone"))
				}
				return succeed(ctx, j)
			})
			w.Slots = 2
			long := submit(t, c, request("other", 1))
			earlier(t, c)
			next := submit(t, c, inTurn(mainRef, 2))
			consume(t, c, w)
			ended(t, c, next.Build)
			if e, err := store.Builds(c).Get(within(t), long.Build); err != nil || e.Value.Ended() {
				t.Errorf("the other build is %+v, %v", e.Value, err)
			}
			on, err := queueOf(c).BuiltOn(within(t), "base")
			must(t, err)
			if on.Underway {
				t.Error("the pipeline is said to be built still")
			}
			close(goOn)
			ended(t, c, long.Build)
		})
	}
}

// TestTheLetterOfAPushThatIsBuiltInItsTurnIsSentAgain after a later push was built.
func TestTheLetterOfAPushThatIsBuiltInItsTurnIsSentAgain(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var tries atomic.Int32
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if tries.Add(1) == 1 {
			return nil, queue.Permanent(errors.New("the registry is gone"))
		}
		return succeed(ctx, j)
	}))
	first, second := submit(t, c, inTurn(mainRef, 1)), submit(t, c, inTurn(mainRef, 2))
	ended(t, c, first.Build)
	ended(t, c, second.Build)
	must(t, errorOf(queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(dead(t, c, 1)[0]), "ann")))
	eventually(t, "it is built under another ID, in its order", func() bool {
		list, err := store.Builds(c).List(t.Context())
		must(t, err)
		return slices.ContainsFunc(list, func(e queue.Entry[messages.BuildRecord]) bool {
			return e.Value.Order == first.Order && e.Key != first.Build && e.Value.State == messages.BuildStateSucceeded
		})
	})
	dead(t, c, 0)
	ended(t, c, submit(t, c, inTurn(mainRef, 3)).Build)
}
