package builds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// ofContext asks for a build of an uploaded context.
func ofContext(name string) *messages.BuildRequested {
	r := request("base", 1)
	r.Cause, r.Ref, r.Commit, r.Context = messages.CausePerson, "", "", name
	return r
}

// upload stores a context.
func upload(t *testing.T, c *queue.Client, name string) {
	t.Helper()
	must(t, queueOf(c).PutContext(within(t), name, strings.NewReader(strings.Repeat("a tar", 100_000))))
}

// has tells whether a context is stored, and whether anything is.
func has(t *testing.T, c *queue.Client, name string) bool {
	t.Helper()
	r, err := queueOf(c).GetContext(within(t), name)
	if errors.Is(err, queue.ErrNotFound) {
		return false
	}
	must(t, err)
	must(t, r.Close())
	return true
}

func storedPieces(t *testing.T, c *queue.Client) uint64 {
	t.Helper()
	s, err := queuetest.JetStream(t, c).Stream(within(t), "OBJ_fenceline-contexts")
	must(t, err)
	return s.CachedInfo().State.Msgs
}

func TestAContextGoesWhenItsBuildHasEnded(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(context.Context, *builds.Job) (messages.Payload, error)
		stays bool
	}{
		"succeeded": {succeed, false},
		"failed":    {func(context.Context, *builds.Job) (messages.Payload, error) { return failed(messages.FailureUser), nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			upload(t, c, "context-a")
			started, finish := make(chan struct{}, 9), make(chan struct{})
			consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				started <- struct{}{}
				<-finish
				return test.end(ctx, j)
			}))
			queueOf(c).KeepContexts(time.Hour, 0)
			a := submit(t, c, ofContext("context-a"))
			waiting := submit(t, c, ofContext("context-b"))
			upload(t, c, "context-b")
			<-started
			if sweep(t, queueOf(c)); !has(t, c, "context-a") || !has(t, c, "context-b") {
				t.Fatal("a context is gone before its build has ended, or began")
			}
			close(finish)
			ended(t, c, a.Build)
			ended(t, c, waiting.Build)
			settled(t, c)
			sweep(t, queueOf(c))
			if has(t, c, "context-a") != test.stays {
				t.Fatalf("it stays: %t", !test.stays)
			}
			if !test.stays {
				if n := storedPieces(t, c); n != 0 {
					t.Errorf("%d messages are left of it", n)
				}
				if _, err := queueOf(c).Retry(within(t), a.Build, "ann"); err == nil || !strings.Contains(err.Error(), "submit the folder again") {
					t.Errorf("retrying it: %v", err)
				}
				return
			}
			b, err := queueOf(c).Retry(within(t), a.Build, "ann")
			must(t, err)
			ended(t, c, b.Build)
			settled(t, c)
			queueOf(c).KeepContexts(0, time.Hour)
			if sweep(t, queueOf(c)); has(t, c, "context-a") {
				t.Error("it stays past the time that a retry may take")
			}
			e, err := store.Builds(c).Get(within(t), a.Build)
			must(t, err)
			if !e.Value.Finished() {
				t.Errorf("record is %+v", e.Value)
			}
		})
	}
}

func TestContextsThatAreKeptForARetryMakeRoom(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Limit(t, "OBJ_fenceline-contexts", func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 900_000 })
	upload(t, c, "context-a")
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { return failed(messages.FailureUser), nil }))
	ended(t, c, submit(t, c, ofContext("context-a")).Build)
	if err := queueOf(c).PutContext(within(t), "context-b", strings.NewReader(strings.Repeat("a tar", 100_000))); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("a second one: %v", err)
	}
	settled(t, c)
	sweep(t, queueOf(c))
	upload(t, c, "context-b")
}

func TestContextsThatNobodyAskedForAreTakenAway(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	upload(t, c, "context-a") // the call that would name it failed
	js := queuetest.JetStream(t, c)
	_, err := js.Publish(within(t), "$O.fenceline-contexts.C.cut", []byte("a piece of one whose sender was killed"))
	must(t, err)
	o, err := js.ObjectStore(within(t), "fenceline-contexts")
	must(t, err)
	_, err = o.PutString(within(t), "context-old", "as an earlier version stored it")
	must(t, err)
	must(t, o.Delete(within(t), "context-old")) // leaves a trace
	if report := sweep(t, queueOf(c)); report.Contexts != 0 || storedPieces(t, c) < 5 {
		t.Errorf("while the call may be on its way the sweep did %+v", report)
	}
	queueOf(c).KeepContexts(time.Hour, 0)
	if report := sweep(t, queueOf(c)); report.Contexts != 1 || storedPieces(t, c) != 0 {
		t.Errorf("the sweep did %+v, and %d messages are left", report, storedPieces(t, c))
	}
}
