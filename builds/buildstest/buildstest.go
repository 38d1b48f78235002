// Package buildstest makes requests and outcomes for tests of builds.
package buildstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// Commit is the n-th commit.
func Commit(n int) string { return fmt.Sprintf("%040x", n) }

// Request asks for the n-th commit of a pipeline, as a push does.
func Request(pipeline string, n int) *messages.BuildRequested {
	return &messages.BuildRequested{
		Build: messages.NewBuildID(pipeline),
		Pipeline: messages.Pipeline{
			Name: pipeline, Repository: "https://git.example.com/ops/base.git", Branch: "main",
			Dockerfile: "Dockerfile", Image: "registry.example.com/ops/base", HooksDir: "/etc/stackato/hooks",
			Timeout: messages.Duration(time.Minute), Attempts: 3, RetryFor: messages.DefaultRetryFor,
		},
		Ref: "refs/heads/main", Commit: Commit(n), Cause: messages.CausePush, Received: time.Now().UTC(),
	}
}

// Image is the n-th image.
func Image(n int) messages.Image {
	return messages.Image("registry.example.com/ops/base@sha256:" + fmt.Sprintf("%064x", n))
}

// Ready is what a build of r ends in.
func Ready(r *messages.BuildRequested) *messages.ImageReady {
	return &messages.ImageReady{
		Image: Image(1), Tag: "latest", Commit: r.Commit, HooksDir: r.Pipeline.HooksDir, Received: r.Received,
	}
}

// Work is a worker whose lease outlasts a machine that is busy.
func Work(build func(context.Context, *builds.Job) (messages.Payload, error)) builds.Work {
	return builds.Work{
		Worker: "w1", AckWait: 10 * time.Second, RetryDelay: 10 * time.Millisecond,
		Grace: time.Minute, Build: build,
	}
}

// Shortly has a worker's lease end soon, for tests of what happens then. It still outlasts a busy machine's
// pauses: half of it, which the lease lasts, and the other half, which a successor waits on top.
func Shortly(w builds.Work) builds.Work {
	w.AckWait = 2 * time.Second
	return w
}

// Consume runs a worker until stop is called, which waits for it to end.
func Consume(t testing.TB, c *queue.Client, w builds.Work) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = Of(c).Consume(ctx, w)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Ended waits until a build's record says that it is over and announced.
func Ended(t testing.TB, c *queue.Client, build string) messages.BuildRecord {
	t.Helper()
	var r messages.BuildRecord
	queuetest.Eventually(t, "build "+build+" is over and announced", func() bool {
		e, err := store.Builds(c).Get(t.Context(), build)
		r = e.Value
		return err == nil && r.Ended() && r.Announced
	})
	return r
}

// Announce says that an image is ready, as a builder does, of a build that was asked for and has succeeded.
func Announce(t testing.TB, c *queue.Client, traceparent string, m *messages.ImageReady) {
	t.Helper()
	Built(t, c, m.BuildRef, m.Fleets, func(r *messages.BuildRecord) { r.State, r.Image = messages.BuildStateSucceeded, m.Image })
	queuetest.Must(t, c.Publish(queuetest.Within(t), traceparent, m))
}

// Built stores the request of a build with the order that it has, and its record as change makes it.
func Built(t testing.TB, c *queue.Client, ref messages.BuildRef, fleets []messages.FleetTarget, change func(*messages.BuildRecord)) {
	t.Helper()
	request := Request(ref.Pipeline, 1)
	request.Build, request.Order, request.Pipeline.Fleets = ref.Build, ref.Order, fleets
	m, err := messages.Encode(c.Envelope(ref.Build, ""), request)
	queuetest.Must(t, err)
	sequence := uint64(0)
	for sequence < ref.Order || sequence == 0 { // an order is the sequence of a request
		sequence, err = c.Store(queuetest.Within(t), c.Space().RequestSubject(ref.Pipeline), m)
		queuetest.Must(t, err)
	}
	_, err = store.Builds(c).Modify(queuetest.Within(t), ref.Build, func(r *messages.BuildRecord) error {
		r.BuildRef, r.Request, r.State = ref, sequence, messages.BuildStateRunning
		change(r)
		return nil
	})
	queuetest.Must(t, err)
}

// Submit stores a request.
func Submit(t testing.TB, c *queue.Client, r *messages.BuildRequested) builds.Accepted {
	t.Helper()
	a, err := Of(c).Request(queuetest.Within(t), r, "")
	queuetest.Must(t, err)
	return a
}

// Of is a client's way to builds, the same each time: requests that wait together go together.
func Of(c *queue.Client) *builds.Queue {
	q, _ := queues.LoadOrStore(c, builds.New(c))
	return q.(*builds.Queue)
}

// queues has what Of gave.
var queues sync.Map
