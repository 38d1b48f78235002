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
	"github.com/fenceline/fenceline/messages/store"
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

// total are all errors that were told of.
func (c *counts) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, more := range c.failed {
		n += more
	}
	return n
}

// requests are what a client may ask of a server, each of something that is not there.
func requests(c *queue.Client) map[string]func(context.Context) error {
	fleets := queue.NewTexts(c, "none", ">")
	shared := queue.Shared{Stream: "none", Name: "n", Type: messages.TypeBuildRequested}
	store := func(ctx context.Context) error {
		_, err := c.StoreBatch(ctx, []queue.Outgoing{{Subject: "none.a"}, {Subject: "none.b"}})
		return err
	}
	return map[string]func(context.Context) error{
		"publish":      func(ctx context.Context) error { _, err := c.Store(ctx, "none.a", messages.Message{}); return err },
		"batch":        store,
		"last":         func(ctx context.Context) error { _, err := c.Last(ctx, "none", "a"); return err },
		"info":         func(ctx context.Context) error { _, err := c.Info(ctx, "none"); return err },
		"subjects":     func(ctx context.Context) error { _, err := c.Subjects(ctx, "none", ">"); return err },
		"purge":        func(ctx context.Context) error { _, err := c.Purge(ctx, "none", "a", 0); return err },
		"batches":      func(ctx context.Context) error { _, err := c.TakesBatches(ctx, "none"); return err },
		"record":       func(ctx context.Context) error { _, err := fleets.Get(ctx, "a"); return err },
		"current":      func(ctx context.Context) error { _, err := fleets.Current(ctx, "a"); return err },
		"list":         func(ctx context.Context) error { _, err := fleets.List(ctx); return err },
		"latest":       func(ctx context.Context) error { _, _, err := fleets.Latest(ctx, 1, nil); return err },
		"put object":   func(ctx context.Context) error { return c.PutObject(ctx, "none", "a", nil) },
		"get object":   func(ctx context.Context) error { _, err := c.GetObject(ctx, "none", "a"); return err },
		"list objects": func(ctx context.Context) error { _, err := c.Objects(ctx, "none", time.Now()); return err },
		"drop object":  func(ctx context.Context) error { return c.DropObject(ctx, "none", "a") },
		"ack floor":    func(ctx context.Context) error { _, err := c.AckFloor(ctx, shared); return err },
		"unsettled":    func(ctx context.Context) error { _, err := c.Unsettled(ctx, shared); return err },
		"waiting":      func(ctx context.Context) error { _, _, err := c.Waiting(ctx, shared); return err },
		"declare":      func(ctx context.Context) error { return c.DeclareShared(ctx, shared, time.Second) },
		"read": func(ctx context.Context) error {
			return c.Read(ctx, "none", queue.ReadOptions{}, func(queue.Received) error { return nil })
		},
	}
}

// TestEveryFailureIsCounted whatever is asked for, in whichever way: of a server that has it not, by who may make no consumers,
// and of one that is gone.
func TestEveryFailureIsCounted(t *testing.T) {
	s := queuetest.Start(t)
	for _, asks := range []bool{false, true} {
		seen := &counts{failed: map[string]int{}}
		c := s.Connect(t, func(o *queue.Options) { o.Observer, o.Asks = seen, asks })
		for name, request := range requests(c) {
			before := seen.total()
			if err := request(queuetest.Within(t)); err == nil {
				t.Errorf("%s of what is not there succeeds", name)
			} else if seen.total() == before {
				t.Errorf("%s is not counted: %v", name, err)
			}
		}
		s.Stop()
		for name, request := range requests(c) {
			before := seen.of("unavailable")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := request(ctx); err == nil {
				t.Errorf("%s of a server that is gone succeeds", name)
			} else if seen.of("unavailable") == before {
				t.Errorf("%s of a server that is gone is not counted: %v", name, err)
			}
			cancel()
		}
		s.Resume(t)
		queuetest.Back(t, c)
	}
}

// TestLossyFailuresAreCounted though nobody waits for their answers.
func TestLossyFailuresAreCounted(t *testing.T) {
	s, _ := queuetest.Guarded(t)
	seen := &counts{failed: map[string]int{}}
	c := s.Connect(t, queuetest.Credentials("n1"), func(o *queue.Options) { o.Observer = seen })
	if err := queue.NewTexts(c, "none", ">").Note("a", "x"); err != nil {
		t.Fatal(err)
	}
	queuetest.Eventually(t, "a note that the credential does not allow is counted", func() bool { return seen.of("forbidden") > 0 })
	open := queuetest.Start(t)
	lost := &counts{failed: map[string]int{}}
	logs := open.Connect(t, func(o *queue.Options) { o.Observer = lost })
	must(t, logs.PublishLossy(func(int64) messages.Payload {
		return &messages.BuildLog{BuildRef: messages.BuildRef{Build: "a-b", Pipeline: "a"}}
	}))
	queuetest.Eventually(t, "a log that no stream takes is counted", func() bool { return lost.of("unavailable") > 0 })
}

// TestWhatIsNoFailureIsNotCounted: streams are declared, records made, and what may be missing is looked for.
func TestWhatIsNoFailureIsNotCounted(t *testing.T) {
	seen := &counts{failed: map[string]int{}}
	c := queuetest.Start(t).Client(t, func(o *queue.Options) { o.Observer = seen })
	ctx := queuetest.Within(t)
	if gone, err := c.Missing(ctx, "none"); err != nil || !gone {
		t.Errorf("a stream that is missing: %v, %v", gone, err)
	}
	shared := queue.Shared{Stream: c.Space().RequestsStream(), Name: "nobody", Type: messages.TypeBuildRequested}
	if n, err := c.AckFloor(ctx, shared); err != nil || n != 0 {
		t.Errorf("where nobody took anything: %d, %v", n, err)
	}
	must(t, c.DeclareShared(ctx, shared, time.Second))
	records := store.Fleets(c)
	_, err := records.Create(ctx, "f", messages.FleetRecord{Fleet: "f"})
	must(t, err)
	if _, err := records.Create(ctx, "f", messages.FleetRecord{Fleet: "f"}); !errors.Is(err, queue.ErrExists) {
		t.Errorf("it is made twice: %v", err)
	}
	if _, err := records.Get(ctx, "g"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
	if n := seen.total(); n != 0 {
		t.Errorf("%d are counted: %v", n, seen.failed)
	}
}
