package producer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

func commit(i int) string { return fmt.Sprintf("%040x", i+1) }

// stored reads every build request that the queue holds.
func stored(t *testing.T, c *queue.Client) map[string]messages.BuildRequested {
	t.Helper()
	out := map[string]messages.BuildRequested{}
	err := c.Read(t.Context(), c.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		b := r.Payload.(*messages.BuildRequested)
		out[b.Build] = *b
		return nil
	})
	if err != nil {
		t.Fatalf("reading the requests: %v", err)
	}
	return out
}

func TestWhatIsAcceptedIsStoredOnce(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := newProducer(t, builds.New(c), zerolog.Nop())
	s := senders()[0]
	body := s.payload(baseURL, mainRef, testCommit)
	status, first, _ := serve(p, s.hook(testSecret, body))
	if status != 202 || len(first.Builds) != 2 {
		t.Fatalf("status %d, %+v", status, first)
	}
	got := stored(t, c)
	for _, b := range first.Builds {
		if got[b.Build].Commit != testCommit || b.Order == 0 || b.Duplicate {
			t.Errorf("%+v was answered, %+v is stored", b, got[b.Build])
		}
	}
	status, again, _ := serve(p, s.hook(testSecret, body))
	if status != 202 || len(stored(t, c)) != 2 {
		t.Errorf("sent again: status %d, %d requests stored", status, len(stored(t, c)))
	}
	for i, b := range again.Builds {
		if !b.Duplicate || b.Build != first.Builds[i].Build {
			t.Errorf("sent again: %+v; want a duplicate of %+v", b, first.Builds[i])
		}
	}
}

// TestNothingAcceptedIsLostWhenNATSGoes stops NATS under a stream of webhooks and starts it again.
func TestNothingAcceptedIsLostWhenNATSGoes(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	p := newProducer(t, builds.New(c), zerolog.Nop())
	p.storeTimeout = 500 * time.Millisecond
	s := senders()[3]
	var next atomic.Int64
	var mu sync.Mutex
	accepted, refused := map[string]string{}, 0
	send := func() int {
		sum := commit(int(next.Add(1)))
		status, a, _ := serve(p, s.hook(testSecret, s.payload(baseURL, mainRef, sum)))
		mu.Lock()
		defer mu.Unlock()
		switch status {
		case http.StatusAccepted:
			for _, b := range a.Builds {
				accepted[b.Build] = sum
			}
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Errorf("status %d, %+v", status, a)
		}
		return status
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for ctx.Err() == nil {
				send()
			}
		})
	}
	until(t, "webhooks are accepted", func() bool { mu.Lock(); defer mu.Unlock(); return len(accepted) > 20 })
	server.Stop()
	until(t, "webhooks are refused", func() bool { mu.Lock(); defer mu.Unlock(); return refused > 0 })
	stop()
	senders.Wait()
	if err := p.Ready(t.Context()); err == nil {
		t.Error("Ready with NATS gone: nil")
	}
	server.Resume(t)
	until(t, "webhooks are accepted again", func() bool { return send() == http.StatusAccepted })
	got := stored(t, c)
	for build, sum := range accepted {
		if got[build].Commit != sum {
			t.Errorf("build %s of %s was accepted, %+v is stored", build, sum, got[build])
		}
	}
}

func TestAFullQueueIsNotAccepted(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	server.Limit(t, c.Space().RequestsStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 16 << 10 })
	p := newProducer(t, builds.New(c), zerolog.Nop())
	s := senders()[0]
	accepted := map[string]bool{}
	for i := range 100 {
		status, a, h := serve(p, s.hook(testSecret, s.payload(baseURL, mainRef, commit(i))))
		for _, b := range a.Builds {
			accepted[b.Build] = true
		}
		if status == http.StatusAccepted {
			continue
		}
		if status != 503 || !strings.Contains(a.Error, "full") || h.Get("Retry-After") == "" {
			t.Errorf("status %d, %+v", status, a)
		}
		got := stored(t, c)
		for build := range accepted {
			if _, ok := got[build]; !ok {
				t.Errorf("build %s was accepted and is gone", build)
			}
		}
		return
	}
	t.Error("the queue is never full")
}

// until waits for a condition, with a deadline.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it did not come to pass in time that %s", what)
		case <-tick.C:
		}
	}
}

// sweeper counts sweeps, of which the first fails and the second hangs.
type sweeper struct {
	memoryQueue
	sweeps atomic.Int64
}

func (s *sweeper) Sweep(ctx context.Context) (builds.SweepReport, error) {
	switch s.sweeps.Add(1) {
	case 1:
		return builds.SweepReport{}, queue.ErrUnavailable
	case 2:
		<-ctx.Done()
		return builds.SweepReport{}, ctx.Err()
	}
	return builds.SweepReport{}, nil
}

func TestRunSweepsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &sweeper{}
		p := newProducer(t, q, zerolog.Nop())
		ctx, cancel := context.WithTimeout(t.Context(), 10*DefaultSweepInterval+sweepTimeout)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := q.sweeps.Load(); n < 8 || n > 12 {
			t.Errorf("%d sweeps in the time of ten intervals and one that hangs", n)
		}
	})
}

// BenchmarkHooks measures webhooks accepted on 16 pipelines with two secrets.
func BenchmarkHooks(b *testing.B) {
	const pipelines = 16
	file := strings.Builder{}
	file.WriteString("version: 1\npipelines:\n")
	for i := range pipelines {
		fmt.Fprintf(&file, "  - {name: p%d, repository: 'https://git.example.com/ops/p%d.git', image: example.com/p%d, webhook: {secret_file: %s}}\n",
			i, i, i, []string{"hook", "other"}[i%2])
	}
	c := queuetest.Start(b).Client(b)
	p, err := New(Config{Pipelines: load(b, file.String()), Queue: builds.New(c), Logger: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	s := senders()[0]
	var next atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(next.Add(1))
			body := s.payload(fmt.Sprintf("https://git.example.com/ops/p%d.git", i%pipelines), mainRef, commit(i))
			w := httptest.NewRecorder()
			p.Handler().ServeHTTP(w, s.hook([]string{testSecret, testOther}[i%pipelines%2], body))
			if w.Code != http.StatusAccepted {
				b.Fatalf("status %d: %s", w.Code, w.Body)
			}
		}
	})
}
