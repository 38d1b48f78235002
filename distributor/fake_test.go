package distributor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
)

const (
	fleet = "prod"
	node  = "dea-1"
)

var errGone = errors.New("NATS is gone")

// fakeQueue is the message queue in memory.
type fakeQueue struct {
	mu      sync.Mutex
	record  *messages.FleetChanged
	gone    bool
	refused error // what heartbeats are refused with
	twins   int   // heartbeats that meet another's
	watcher func(messages.FleetChanged)
	beats   []messages.NodeStatus
	times   []time.Time
	events  []messages.Payload
	traces  []string // of the events
}

func (q *fakeQueue) ReadFleet(context.Context, string) (messages.FleetChanged, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.gone:
		return messages.FleetChanged{}, errGone
	case q.record == nil:
		return messages.FleetChanged{}, queue.ErrNotFound
	}
	return *q.record, nil
}

func (q *fakeQueue) WatchFleet(ctx context.Context, _ string, fn func(messages.FleetChanged)) error {
	q.mu.Lock()
	q.watcher = fn
	q.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (q *fakeQueue) Heartbeat(ctx context.Context, s *messages.NodeStatus) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case ctx.Err() != nil: // as the client, which sends nothing then
		return context.Cause(ctx)
	case q.gone:
		return errGone
	case q.refused != nil:
		return q.refused
	}
	q.beats, q.times = append(q.beats, *s), append(q.times, time.Now())
	if q.twins > 0 {
		q.twins--
		return store.ErrTwin
	}
	return nil
}

// sent is when heartbeats were stored.
func (q *fakeQueue) sent() []time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.times)
}

func (q *fakeQueue) Publish(_ context.Context, traceparent string, p messages.Payload) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return errGone
	}
	q.events, q.traces = append(q.events, p), append(q.traces, traceparent)
	return nil
}

var _ distributor.Queue = (*store.Node)(nil)

// world is an agent with its engine and queue, in a bubble of time.
type world struct {
	t      *testing.T
	queue  *fakeQueue
	engine *enginetest.Fake
	agent  *distributor.Distributor

	applier  distributor.Applier  // nil for none
	contents distributor.Contents // nil for none
	pull     *messages.Pull
	metrics  *metrics.Distributor // nil for none
}

// run runs test beside an agent. The engine has images "1" to "9" to pull.
func run(t *testing.T, prepare func(*world), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, queue: &fakeQueue{}, engine: &enginetest.Fake{
			Free: 100 << 30, Registry: map[messages.Image]enginetest.FakeImage{}, Gone: map[messages.Image]bool{},
		}}
		for _, c := range "123456789" {
			w.engine.Registry[img(string(c))] = enginetest.FakeImage{Layers: map[string]int64{string(c): 1000}, Shell: true}
		}
		if prepare != nil {
			prepare(w)
		}
		agent, err := distributor.New(distributor.Config{
			Fleet: fleet, Node: node, Queue: w.queue, Engine: w.engine, Version: "test", Place: "nats://here", Applier: w.applier, Contents: w.contents, Pull: w.pull, Metrics: w.metrics,
			Labels: map[string]string{"zone": "a"}, Logger: zerolog.New(t.Output()),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.agent = agent
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- agent.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("the agent ended with %v", err)
			}
		}()
		synctest.Wait()
		test(w)
	})
}

func img(c string) messages.Image {
	return messages.Image("registry.example/base@sha256:" + strings.Repeat(c, 64))
}

func fleetImage(c string) messages.FleetImage {
	return messages.FleetImage{Image: img(c), Rollout: "r" + c, Build: "b" + c, HooksDir: messages.DefaultHooksDir}
}

// all is a threshold that admits every node.
const all = ^uint64(0)

func preload(c string) *messages.Preload {
	return &messages.Preload{FleetImage: fleetImage(c), Threshold: all, Trial: messages.Trial{Timeout: messages.Duration(time.Minute)}}
}

// canary is preload with this node as a canary, below no threshold.
func canary(c string, hooks ...string) *messages.Preload {
	p := preload(c)
	p.Canaries, p.Threshold, p.Hooks = []string{node}, 0, hooks
	return p
}

// set writes the record, without an announcement.
func (w *world) set(r messages.FleetRecord) messages.FleetChanged {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	r.Fleet = fleet
	c := messages.FleetChanged{Revision: 1, Record: r}
	if w.queue.record != nil {
		c.Revision = w.queue.record.Revision + 1
	}
	w.queue.record = &c
	return c
}

// announce writes and announces the record, and lets what follows at once happen.
func (w *world) announce(r messages.FleetRecord) {
	c := w.set(r)
	w.queue.mu.Lock()
	watcher := w.queue.watcher
	w.queue.mu.Unlock()
	watcher(c)
	synctest.Wait()
}

// last is the last heartbeat.
func (w *world) last() messages.NodeStatus {
	w.t.Helper()
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	if len(w.queue.beats) == 0 {
		w.t.Fatal("no heartbeat was sent")
	}
	return w.queue.beats[len(w.queue.beats)-1]
}

func (w *world) events() []messages.Payload {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	return append([]messages.Payload(nil), w.queue.events...)
}

func (w *world) setGone(gone bool) {
	w.queue.mu.Lock()
	defer w.queue.mu.Unlock()
	w.queue.gone = gone
}

// after lets time pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// has checks which images the last heartbeat claims.
func (w *world) has(want ...string) {
	w.t.Helper()
	var got []string
	for _, i := range w.last().Images {
		got = append(got, i.Image.Digest()[7:8])
		if i.ID == "" || i.Local != (&messages.FleetRecord{Fleet: fleet}).LocalName(i.Image) {
			w.t.Errorf("claimed as %+v", i)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Fatalf("the heartbeat claims the images %v, want %v", got, want)
	}
}

// pulled checks which pulls were begun.
func (w *world) pulled(want ...string) {
	w.t.Helper()
	var got []string
	w.engine.Do(func(f *enginetest.Fake) {
		for _, i := range f.Pulled {
			got = append(got, i.Digest()[7:8])
		}
	})
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Fatalf("pulled %v, want %v", got, want)
	}
}

// works checks the reported work.
func (w *world) works(state messages.WorkState, reason string) *messages.NodeWork {
	w.t.Helper()
	got := w.last().Work
	if got == nil || got.State != state || !strings.Contains(got.Reason, reason) || (reason == "") != (got.Reason == "") {
		w.t.Fatalf("the heartbeat has work %+v, want state %s with reason %q", got, state, reason)
	}
	return got
}
