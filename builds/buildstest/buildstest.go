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
			Timeout: messages.Duration(time.Minute), Attempts: 3,
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

// Shortly has a worker's lease end soon, for tests of what happens then.
func Shortly(w builds.Work) builds.Work {
	w.AckWait = 600 * time.Millisecond
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
