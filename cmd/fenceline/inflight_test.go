package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

const (
	manyNodes = 150
	lateNodes = 30
	// pullTime is how long a node's pull takes, many times what its admission does.
	pullTime = 30 * time.Millisecond
)

// pulling counts the pulls of a fleet that are under way.
type pulling struct {
	mu          sync.Mutex
	now, most   int
	done, total int
	all         chan struct{} // closed when total are done
}

func (p *pulling) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now++
	p.most = max(p.most, p.now)
}

func (p *pulling) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	if err == nil {
		if p.done++; p.done == p.total {
			close(p.all)
		}
	}
}

// slowEngine is an engine whose pulls take their time and are counted.
type slowEngine struct {
	*enginetest.Fake
	pulls *pulling
}

func (e slowEngine) Pull(ctx context.Context, i messages.Image, progress func(distributor.Progress)) (int64, error) {
	e.pulls.begin()
	select {
	case <-time.After(pullTime):
	case <-ctx.Done():
		e.pulls.end(context.Cause(ctx))
		return 0, context.Cause(ctx)
	}
	n, err := e.Fake.Pull(ctx, i, progress)
	e.pulls.end(err)
	return n, err
}

// agents runs so many distributors, whose engines can pull an image, until the test ends.
func agents(t *testing.T, q *queue.Client, pulls *pulling, image messages.Image, prefix string, count int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for n := range count {
		d, err := distributor.New(distributor.Config{
			Fleet: "default", Node: fmt.Sprintf("%s%d", prefix, n), Queue: store.NewNode(q), Interval: time.Second, Logger: zerolog.Nop(),
			Engine: slowEngine{&enginetest.Fake{Free: -1, Registry: map[messages.Image]enginetest.FakeImage{image: {Shell: true}}}, pulls},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Errorf("agent %s%d: %v", prefix, n, err)
			}
		})
	}
	t.Cleanup(func() { cancel(); ended.Wait() })
}

// TestNoMoreInFlightBeforeAndAfterTheFlip runs a controller and the agents of a fleet over NATS. Half of
// them fetch after the flip, and others join meanwhile: never more at one time than the policy lets.
func TestNoMoreInFlightBeforeAndAfterTheFlip(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c, err := controller.New(controller.Config{
		Queue: q, Name: "c1", Logger: zerolog.Nop(),
		Backend: new(backends.Backends).Factory(q),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })

	const limit = 10
	p := messages.DefaultPolicy()
	p.MaxInFlight, p.QuorumPercent, p.Waves, p.Trial.Disabled = limit, 50, []int{10, 50, 100}, true
	image := messages.Image(fmt.Sprintf("registry.example.com/app@sha256:%064x", 1))
	pulls := &pulling{total: manyNodes + lateNodes, all: make(chan struct{})}
	agents(t, q, pulls, image, "n", manyNodes)
	await(t, q, "all to be members", func(messages.FleetRecord) bool {
		members, err := store.MembersOf(t.Context(), q, "default")
		return err == nil && len(members) == manyNodes
	})
	buildstest.Announce(t, q, "", &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: "app-b1", Pipeline: "app", Order: 1}, Image: image, Tag: "t", HooksDir: messages.DefaultHooksDir,
		Fleets: []messages.FleetTarget{{Fleet: "default", Policy: p}}, Received: time.Now().UTC(),
	})
	await(t, q, "the flip", func(r messages.FleetRecord) bool { return r.Current.Order == 1 })
	agents(t, q, pulls, image, "late", lateNodes)
	select {
	case <-pulls.all:
	case <-time.After(5 * time.Minute):
		pulls.mu.Lock()
		defer pulls.mu.Unlock()
		e, _ := store.Fleets(q).Get(context.Background(), "default")
		t.Fatalf("%d of %d nodes have the image; spread %+v, turns %+v", pulls.done, pulls.total, e.Value.Spread, e.Value.Turns)
	}
	if pulls.most > limit {
		t.Errorf("%d nodes fetched at one time, %d may", pulls.most, limit)
	}
}

// await looks at the fleet's record until it is as wanted.
func await(t *testing.T, q *queue.Client, what string, ok func(messages.FleetRecord) bool) {
	t.Helper()
	late := time.After(3 * time.Minute)
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		e, err := store.Fleets(q).Get(t.Context(), "default")
		if err == nil && ok(e.Value) {
			return
		}
		select {
		case <-every.C:
		case <-late:
			t.Fatalf("waited three minutes for %s: %+v, error %v", what, e.Value, err)
		}
	}
}
