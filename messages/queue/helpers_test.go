package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const testTime = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until done is true, asking again and again.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(testTime)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %s: %s", testTime, what)
		}
	}
}

func commit(n int) string { return fmt.Sprintf("%040x", n) }

func request(pipeline string, n int) *messages.BuildRequested {
	return &messages.BuildRequested{
		Build: messages.NewBuildID(pipeline),
		Pipeline: messages.Pipeline{
			Name: pipeline, Repository: "https://git.example.com/ops/base.git", Branch: "main",
			Dockerfile: "Dockerfile", Image: "registry.example.com/ops/base", HooksDir: "/etc/stackato/hooks",
			Timeout: messages.Duration(time.Minute), Attempts: 3,
		},
		Ref: "refs/heads/main", Commit: commit(n), Cause: messages.CausePush, Received: time.Now().UTC(),
	}
}

func image(n int) messages.Image {
	return messages.Image("registry.example.com/ops/base@sha256:" + fmt.Sprintf("%064x", n))
}

func ready(r *messages.BuildRequested) *messages.ImageReady {
	return &messages.ImageReady{
		Image: image(1), Tag: "latest", Commit: r.Commit, HooksDir: r.Pipeline.HooksDir, Received: r.Received,
	}
}

// work is a worker whose lease outlasts a machine that is busy.
func work(build func(context.Context, *queue.Job) (messages.Payload, error)) queue.Work {
	return queue.Work{
		Worker: "w1", AckWait: 10 * time.Second, RetryDelay: 10 * time.Millisecond,
		Grace: testTime, Build: build,
	}
}

// shortly has a worker's lease end soon, for tests of what happens then.
func shortly(w queue.Work) queue.Work {
	w.AckWait = 600 * time.Millisecond
	return w
}

// consume runs a worker until stop is called, which waits for it to end.
func consume(t *testing.T, c *queue.Client, w queue.Work) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.ConsumeBuilds(ctx, w)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// ended waits until a build's record says that it is over and announced.
func ended(t *testing.T, c *queue.Client, build string) messages.BuildRecord {
	t.Helper()
	var r messages.BuildRecord
	eventually(t, "build "+build+" is over and announced", func() bool {
		e, err := queue.Builds(c).Get(t.Context(), build)
		r = e.Value
		return err == nil && r.Ended() && r.Announced
	})
	return r
}

// endings lists the events that end builds, by the type's middle and the build.
func endings(t *testing.T, c *queue.Client) map[string]int {
	t.Helper()
	s := c.Space()
	out := map[string]int{}
	must(t, c.ReadEvents(within(t), queue.ReadOptions{Filters: []string{
		s.Filter(messages.TypeImageReady), s.Filter(messages.TypeBuildFailed),
		s.Filter(messages.TypeBuildSuperseded), s.Filter(messages.TypeBuildCancelled),
	}}, func(r queue.Received) error {
		kind := strings.TrimSuffix(strings.TrimPrefix(string(r.Payload.MessageType()), "dev.fenceline."), ".v1")
		out[kind+" "+r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]]++
		return nil
	}))
	return out
}
