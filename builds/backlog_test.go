package builds_test

import (
	"context"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// waiting is what waits of a pipeline, and whether it says for how long.
func waiting(t *testing.T, q *builds.Queue, pipeline string) (n uint64, aged bool, taken uint64) {
	t.Helper()
	b, err := q.Backlog(queuetest.Within(t))
	queuetest.Must(t, err)
	for _, p := range b.Pipelines {
		if p.Pipeline == pipeline {
			return p.Waiting, p.Oldest > 0, b.Taken
		}
	}
	return 0, false, b.Taken
}

// TestBacklog counts what no builder was given, by pipeline, as builders take and end it, and what was buried.
func TestBacklog(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	q := buildstest.Of(c)
	for n := range 3 {
		buildstest.Submit(t, c, buildstest.Request("a", n+1))
	}
	last := buildstest.Submit(t, c, buildstest.Request("b", 1))
	if n, aged, taken := waiting(t, q, "a"); n != 3 || !aged || taken != 0 {
		t.Errorf("of a %d wait (aged %v), and %d are taken", n, aged, taken)
	}
	if n, _, _ := waiting(t, q, "b"); n != 1 {
		t.Errorf("of b %d wait", n)
	}
	began, end := make(chan struct{}), make(chan struct{})
	w := buildstest.Work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		select {
		case began <- struct{}{}:
			<-end
		default:
		}
		return buildstest.Ready(j.Request), nil
	})
	buildstest.Consume(t, c, w)
	<-began
	if n, _, taken := waiting(t, q, "a"); n != 2 || taken != 1 {
		t.Errorf("while one is built, of a %d wait, and %d are taken", n, taken)
	}
	close(end)
	buildstest.Ended(t, c, last.Build)
	queuetest.Eventually(t, "nothing waits", func() bool {
		b, err := q.Backlog(t.Context())
		return err == nil && b.Taken == 0 && len(b.Pipelines) == 2 && b.Pipelines[0].Waiting+b.Pipelines[1].Waiting == 0 &&
			b.Pipelines[0].Oldest == time.Duration(0)
	})
	if n, err := q.Letters(queuetest.Within(t)); err != nil || n != 0 {
		t.Errorf("%d letters, %v", n, err)
	}
	_, err := c.Store(queuetest.Within(t), c.Space().RequestSubject("a"), messages.Message{Body: []byte("no message")})
	queuetest.Must(t, err)
	queuetest.Eventually(t, "a letter is counted", func() bool {
		n, err := q.Letters(t.Context())
		return err == nil && n == 1
	})
}
