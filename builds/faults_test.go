package builds_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/nats-io/nats.go"
)

// verdicts collects what is sent for the first delivery of any request.
func verdicts(t *testing.T, s *queuetest.Server) func() []string {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.Timeout(queuetest.TestTime))
	must(t, err)
	t.Cleanup(nc.Close)
	var mu sync.Mutex
	var out []string
	_, err = nc.Subscribe("$JS.ACK.fenceline-requests.builders-build-requested-v1.1.>", func(m *nats.Msg) {
		if !strings.HasPrefix(string(m.Data), "+WPI") {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, string(m.Data))
		}
	})
	must(t, err)
	must(t, nc.Flush())
	return func() []string {
		must(t, nc.Flush())
		mu.Lock()
		defer mu.Unlock()
		return out
	}
}

func TestAWorkerPastItsLeaseSendsNothing(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	sent := verdicts(t, s)
	p := s.Proxy(t)
	zombie := s.Connect(t, through(p))
	started, lost, finish, over := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	all := metrics.New("v1")
	late := shortly(work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		defer close(over)
		close(started)
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("the lease ended with %v", err)
		}
		close(lost)
		<-finish // a build that does not care
		if err := j.Event(context.WithoutCancel(ctx), &messages.BasePinned{BuildRef: j.Request.BuildRef()}); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("an event after the lease: %v", err)
		}
		j.Log(messages.BuildLog{Text: "late"})
		return ready(j.Request), nil
	}))
	late.Metrics = all.Builder()
	stop := consume(t, zombie, late)
	a := submit(t, c, request("base", 1))
	<-started
	p.Hold()
	w := shortly(work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		select {
		case <-lost:
		default:
			t.Error("the build was taken over before its first worker's lease had ended")
		}
		return succeed(ctx, j)
	}))
	w.Worker = "w2"
	consume(t, c, w)
	r := ended(t, c, a.Build)
	if r.Worker != "w2" || r.Attempt != 2 {
		t.Errorf("record is %+v", r)
	}
	p.Release()
	close(finish)
	<-over
	stop()
	must(t, zombie.Ready(within(t)))
	if got := sent(); len(got) != 0 {
		t.Errorf("the zombie sent %q", got)
	}
	counts(t, all, `fenceline_build_attempts_total{outcome="lease_lost"} 1`, `fenceline_build_attempts_total{outcome="ended"} 0`)
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestADeletedConsumerIsMadeAgain(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	var count atomic.Int32
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		count.Add(1)
		return succeed(ctx, j)
	}))
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	must(t, queuetest.JetStream(t, c).DeleteConsumer(within(t), "fenceline-requests", "builders-build-requested-v1"))
	b := submit(t, c, request("base", 2))
	ended(t, c, b.Build)
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || got["image.ready "+b.Build] != 1 || len(got) != 2 {
		t.Errorf("events are %v", got)
	}
	if count.Load() != 2 {
		t.Errorf("%d builds, though the first had ended when it was delivered again", count.Load())
	}
}

func TestARoleWaitsForTheLayout(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Connect(t)
	consume(t, c, work(succeed))
	must(t, store.Declare(within(t), c, store.Layout{}))
	ended(t, c, submit(t, c, request("base", 1)).Build)
}

// ackWait is how long a request stays with a builder that went silent.
func ackWait(t *testing.T, c *queue.Client) time.Duration {
	t.Helper()
	consumer, err := queuetest.JetStream(t, c).Consumer(within(t), "fenceline-requests", "builders-build-requested-v1")
	must(t, err)
	return consumer.CachedInfo().Config.AckWait
}

func TestAChangedAckWaitIsTakenOver(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))()
	w := work(succeed)
	w.AckWait = 5 * time.Second
	consume(t, c, w)
	ended(t, c, submit(t, c, request("base", 1)).Build)
	if got := ackWait(t, c); got != w.AckWait {
		t.Errorf("the AckWait is %s", got)
	}
}

func TestAnAckWaitThatOthersCountOnIsNotMadeShorter(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish := make(chan struct{}), make(chan struct{})
	long := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		close(started)
		<-finish
		return succeed(ctx, j)
	})
	long.AckWait = 5 * time.Second
	stop := consume(t, c, long)
	a := submit(t, c, request("base", 1))
	<-started // its only slot is taken: it waits for nothing
	short := shortly(work(succeed))
	short.Worker = "w2"
	stopShort := consume(t, s.Connect(t), short)
	b := submit(t, c, request("other", 2))
	ended(t, c, b.Build)
	if got := ackWait(t, c); got != long.AckWait {
		t.Errorf("the AckWait is %s while a build counts on %s", got, long.AckWait)
	}
	close(finish)
	ended(t, c, a.Build)
	settled(t, c)
	stop()
	stopShort()
	eventually(t, "a builder alone sets a shorter AckWait", func() bool {
		again := consume(t, c, short)
		defer again()
		ended(t, c, submit(t, c, request("base", 3+int(time.Now().UnixNano()%1e9))).Build)
		return ackWait(t, c) == short.AckWait
	})
}

func TestARequestWithALostAnswerIsStoredOnce(t *testing.T) {
	for name, test := range map[string]struct {
		since int // requests stored before it is sent again
		again func(*messages.BuildRequested) *messages.BuildRequested
		dup   bool
	}{
		"by the same webhook":                  {0, func(r *messages.BuildRequested) *messages.BuildRequested { return r }, false},
		"by the same webhook, with more since": {1, func(r *messages.BuildRequested) *messages.BuildRequested { return r }, false},
		"by a webhook that is sent again":      {0, func(*messages.BuildRequested) *messages.BuildRequested { return request("base", 2) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := queuetest.Start(t)
			c := s.Client(t)
			p := s.Proxy(t)
			far := s.Connect(t, through(p))
			submit(t, far, request("base", 1))
			p.Hold()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // it is sent by then
			defer cancel()
			r := request("base", 2)
			if _, err := queueOf(far).Request(ctx, r, ""); !errors.Is(err, queue.ErrUnavailable) {
				t.Fatalf("with the answer held up: %v", err)
			}
			p.Release()
			stored := func(n int) func() bool {
				return func() bool {
					queued, err := queueOf(c).Queued(t.Context())
					return err == nil && len(queued) == n
				}
			}
			eventually(t, "the request is stored", stored(2))
			for n := range test.since {
				submit(t, c, request("base", 3+n))
			}
			if a := submit(t, far, test.again(r)); a.Duplicate != test.dup || a.Build != r.Build || a.Order != 2 {
				t.Errorf("sent again it is %+v, though it was stored second", a)
			}
			if !stored(2 + test.since)() {
				t.Error("it is stored twice")
			}
		})
	}
}
