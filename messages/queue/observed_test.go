package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// counts are what an observer was told.
type counts struct {
	mu       sync.Mutex
	answered int
	failed   map[string]int
}

func (c *counts) Answered(time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered++
}

func (c *counts) Failed(class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[class]++
}

func (c *counts) of(class string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[class]
}

// TestObserver is told of answers, of a server that is gone, of a full stream, and of no error where somebody else wrote first.
func TestObserver(t *testing.T) {
	s := queuetest.Start(t)
	seen := &counts{failed: map[string]int{}}
	c := s.Client(t, func(o *queue.Options) { o.Observer = seen })
	subject := c.Space().RequestSubject("a")
	_, err := c.Store(queuetest.Within(t), subject, messages.Message{Body: []byte("x")}, queue.Expect(7))
	if !errors.Is(err, queue.ErrMoved) || len(seen.failed) != 0 || seen.answered == 0 {
		t.Errorf("a write that was late: %v, %+v", err, seen)
	}
	if used, limit, err := c.Account(queuetest.Within(t)); err != nil || limit != 0 {
		t.Errorf("the account takes %d of %d, %v", used, limit, err)
	}
	if took, err := c.RoundTrip(queuetest.Within(t)); err != nil || took <= 0 {
		t.Errorf("a ping took %v, %v", took, err)
	}
	if server, client := c.Certificates(); !server.IsZero() || !client.IsZero() {
		t.Errorf("certificates end at %v and %v without TLS", server, client)
	}
	_, err = c.Store(queuetest.Within(t), subject, messages.Message{Body: make([]byte, c.MaxPayload()+1)})
	if !errors.Is(err, queue.ErrTooLarge) || seen.of("too_large") != 1 {
		t.Errorf("a message that is too large: %v, %+v", err, seen.failed)
	}
	s.Stop()
	if _, err := c.Store(queuetest.Within(t), subject, messages.Message{}); err == nil || seen.of("unavailable") == 0 {
		t.Errorf("a write without a server: %v, %+v", err, seen.failed)
	}
	if _, err := c.RoundTrip(queuetest.Within(t)); err == nil {
		t.Error("a ping without a server came back")
	}
	s.Resume(t)
	queuetest.Back(t, c)
	if c.Reconnects() == 0 {
		t.Error("a reconnect is not counted")
	}
}

// TestClass names a class for each error of NATS's, and none for what is none.
func TestClass(t *testing.T) {
	for err, want := range map[error]string{
		nil: "", queue.ErrMoved: "", queue.ErrNotFound: "", queue.ErrLeaseLost: "", context.Canceled: "",
		queue.ErrUnavailable: "unavailable", queue.ErrFull: "full", queue.ErrForbidden: "forbidden", queue.ErrUndeclared: "undeclared",
		queue.ErrTooLarge: "too_large", errors.New("x"): "other", fmt.Errorf("%w: %w", queue.ErrUndeclared, queue.ErrUnavailable): "unavailable",
	} {
		if got := queue.Class(err); got != want {
			t.Errorf("%v is of class %q, want %q", err, got, want)
		}
	}
}
