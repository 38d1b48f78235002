package controller_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

const (
	patience = time.Minute // for what must come
	beat     = 100 * time.Millisecond
	leaseTTL = 3 * time.Second // renewed in time on a busy machine too
)

// installation is a NATS server with what a test needs of it.
type installation struct {
	server *queuetest.Server
	q      *queue.Client
}

func install(t *testing.T) installation {
	t.Helper()
	s := queuetest.Start(t)
	return installation{s, s.Client(t)}
}

// installed is an installation with a controller and one node, n1 of fleet default, which
// has gone through so many images.
func installed(t *testing.T, images uint64) (installation, *simulated) {
	t.Helper()
	i := install(t)
	i.controller(t, "c1")
	n := startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	for order := uint64(1); order <= images; order++ {
		i.announce(t, order, target("default", nil))
		i.applied(t, "default", order)
	}
	return i, n
}

func (i installation) backend(fleet string) fence.Backend {
	return natskv.New(i.q, fleet)
}

// controller runs one until the test or the returned function ends it; abrupt ends cut its
// connection first, so that it can write and give up nothing.
func (i installation) controller(t *testing.T, name string, change ...func(*controller.Config)) (abrupt func()) {
	t.Helper()
	q := i.server.Connect(t)
	cfg := controller.Config{
		Queue: q, Name: name, Interval: 50 * time.Millisecond, LeaseTTL: leaseTTL, Logger: zerolog.New(zerolog.NewTestWriter(t)),
		Backend: new(backends.Backends).Factory(q),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := controller.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("controller %s: %v", name, err)
		}
	})
	end := sync.OnceFunc(func() { cancel(); ended.Wait() })
	t.Cleanup(end)
	return sync.OnceFunc(func() { q.Close(); end() })
}

func policy(change func(*messages.Policy)) messages.Policy {
	p := messages.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	return p
}

func image(order uint64) messages.Image {
	return messages.Image(fmt.Sprintf("registry.example.com/exampleco/newimg@sha256:%064x", order))
}

func build(order uint64) string { return fmt.Sprintf("app-build%d", order) }

// announce says that an image is ready, as a builder does.
func (i installation) announce(t *testing.T, order uint64, fleets ...messages.FleetTarget) string {
	t.Helper()
	m := &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: build(order), Pipeline: "app", Order: order},
		Image:    image(order), Tag: "t", HooksDir: messages.DefaultHooksDir, Fleets: fleets, Received: time.Now().UTC(),
	}
	buildstest.Announce(t, i.q, "", m)
	return messages.RolloutID(fleets[0].Fleet, m.Build)
}

func target(fleet string, change func(*messages.Policy)) messages.FleetTarget {
	return messages.FleetTarget{Fleet: fleet, Policy: policy(change)}
}

// until waits for a record to be as wanted, and returns it.
func until[T any](t *testing.T, r *queue.Records[T], key, what string, ok func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last T
	found := false
	_ = r.Watch(ctx, func(e queue.Entry[T]) {
		if e.Key == key && !found {
			last = e.Value
			if found = !e.Deleted && ok(last); found {
				cancel()
			}
		}
	}, nil)
	if !found {
		t.Fatalf("waited %s for %s; it is %+v", patience, what, last)
	}
	return last
}

func (i installation) fleet(t *testing.T, fleet, what string, ok func(messages.FleetRecord) bool) messages.FleetRecord {
	t.Helper()
	return until(t, store.Fleets(i.q), fleet, "fleet "+fleet+" "+what, ok)
}

func (i installation) rollout(t *testing.T, id, what string, ok func(messages.RolloutRecord) bool) messages.RolloutRecord {
	t.Helper()
	return until(t, store.Rollouts(i.q), id, "rollout "+id+" "+what, ok)
}

func (i installation) state(t *testing.T, id string, state messages.RolloutState) messages.RolloutRecord {
	t.Helper()
	return i.rollout(t, id, "to be "+string(state), func(r messages.RolloutRecord) bool { return r.State == state })
}

// applied waits until an image is current and the fence config holds it.
func (i installation) applied(t *testing.T, fleet string, order uint64) messages.FleetRecord {
	t.Helper()
	r := i.fleet(t, fleet, fmt.Sprintf("to hold order %d", order), func(r messages.FleetRecord) bool {
		return r.Current.Order == order && r.Applied.Epoch == r.Epoch && r.Applied.Error == ""
	})
	s, err := i.backend(fleet).Get(t.Context())
	if err != nil || s.Value != string(image(order)) {
		t.Fatalf("the fence config holds %q, error %v", s.Value, err)
	}
	return r
}

// holds waits until the fence config has a value.
func (i installation) holds(t *testing.T, fleet, value string) {
	t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		s, err := i.backend(fleet).Get(t.Context())
		if err == nil && s.Value == value {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited %s for the fence config to hold %q; it is %+v, error %v", patience, value, s, err)
		}
	}
}

// members waits until so many nodes are members.
func (i installation) members(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	known := map[string]bool{}
	_ = store.Members(i.q).Watch(ctx, func(e queue.Entry[messages.Member]) {
		if known[e.Key] = !e.Deleted; len(known) >= n {
			cancel()
		}
	}, nil)
	if len(known) < n {
		t.Fatalf("waited %s for %d members, there are %v", patience, n, known)
	}
}
