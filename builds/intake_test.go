package builds_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// crowd sends many requests at once, over the clients in turn, and each of them twice.
// What is unavailable is sent again, what finds no room is given up. It returns the builds that were accepted.
func crowd(t *testing.T, clients []*queue.Client, from, pushes int) map[string]builds.Accepted {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	out := map[string]builds.Accepted{}
	for try := range 2 {
		for n := range pushes {
			all.Go(func() {
				r := request(fmt.Sprintf("p%d", n%4), from+n)
				a, err := queueOf(clients[(n+try)%len(clients)]).Request(within(t), r, "")
				for errors.Is(err, queue.ErrUnavailable) && t.Context().Err() == nil { // as senders do
					a, err = queueOf(clients[(n+try)%len(clients)]).Request(within(t), r, "")
				}
				if errors.Is(err, queue.ErrFull) {
					return
				}
				if err != nil {
					t.Errorf("push %d: %v", n, err)
					return
				}
				if !a.Duplicate && a.Build != r.Build {
					t.Errorf("push %d is accepted as build %s, not %s", n, a.Build, r.Build)
				}
				mu.Lock()
				defer mu.Unlock()
				out[a.Build] = a
			})
		}
	}
	all.Wait()
	return out
}

// kept reads the requests as they are stored, and how many of them came in a batch.
func kept(t *testing.T, c *queue.Client) (builds map[string]uint64, inBatches int) {
	t.Helper()
	s, err := queuetest.JetStream(t, c).Stream(within(t), "fenceline-requests")
	must(t, err)
	builds = map[string]uint64{}
	last := map[string]*messages.BuildRequested{}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(within(t), seq)
		must(t, err)
		_, r, err := messages.DecodeAs[*messages.BuildRequested](messages.Message{Headers: messages.Headers(m.Header), Body: m.Data})
		must(t, err)
		if before := last[m.Subject]; before != nil && before.SamePush(r) {
			t.Errorf("request %d asks for the same push as the one before it in its pipeline", seq)
		}
		if _, twice := builds[r.Build]; twice {
			t.Errorf("build %s is stored twice", r.Build)
		}
		last[m.Subject], builds[r.Build] = r, seq
		if m.Header.Get("Nats-Batch-Id") != "" {
			inBatches++
		}
	}
	return builds, inBatches
}

func stored(t *testing.T, c *queue.Client, accepted map[string]builds.Accepted) (inBatches int) {
	t.Helper()
	builds, inBatches := kept(t, c)
	are(t, builds, accepted)
	if len(builds) != len(accepted) {
		t.Errorf("%d builds are stored, %d were accepted", len(builds), len(accepted))
	}
	return inBatches
}

// are sees that what was accepted is stored, under the order that was answered.
func are(t *testing.T, builds map[string]uint64, accepted map[string]builds.Accepted) {
	t.Helper()
	for build, a := range accepted {
		if builds[build] != a.Order {
			t.Errorf("build %s was accepted as %d and is stored as %d", build, a.Order, builds[build])
		}
	}
}

// known has a client look at the last request of each pipeline of a crowd.
func known(t *testing.T, accepted map[string]builds.Accepted, clients ...*queue.Client) {
	t.Helper()
	for i, c := range clients {
		for p := range 4 {
			a := submit(t, c, request(fmt.Sprintf("p%d", p), 1_000_000+i))
			accepted[a.Build] = a
		}
	}
}

func TestRequestsThatWaitTogetherAreStoredTogether(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	all := map[string]builds.Accepted{}
	known(t, all, c)
	for build, a := range crowd(t, []*queue.Client{c}, 1, 400) {
		all[build] = a
	}
	if n := stored(t, c, all); n == 0 { // how many wait together is up to the machine
		t.Error("none of 400 requests came in a batch")
	}
}

func TestCrowdsAtSeveralProducersAreStoredOnce(t *testing.T) {
	s := queuetest.Start(t)
	clients := []*queue.Client{s.Client(t), s.Connect(t), s.Connect(t)}
	all := map[string]builds.Accepted{}
	known(t, all, clients...)
	for build, a := range crowd(t, clients, 1, 200) {
		all[build] = a
	}
	stored(t, clients[0], all)
}

func TestABatchThatIsBehindIsStoredOneByOne(t *testing.T) {
	s := queuetest.Start(t)
	c, other := s.Client(t), s.Connect(t)
	all := map[string]builds.Accepted{}
	known(t, all, c, other) // c doesn't know of the other's
	for build, a := range crowd(t, []*queue.Client{c}, 1, 100) {
		all[build] = a
	}
	stored(t, c, all)
}

func TestAStreamWithoutBatchesTakesRequests(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	stream, err := queuetest.JetStream(t, c).Stream(within(t), "fenceline-requests")
	must(t, err)
	cfg := stream.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	_, err = queuetest.JetStream(t, c).UpdateStream(within(t), cfg)
	must(t, err)
	must(t, store.Declare(within(t), c, store.Layout{}))
	all := map[string]builds.Accepted{}
	known(t, all, c)
	for build, a := range crowd(t, []*queue.Client{c}, 1, 100) {
		all[build] = a
	}
	if n := stored(t, c, all); n != 0 {
		t.Errorf("%d requests came in batches", n)
	}
}

func TestACrowdOutlivesAServerRestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	all := map[string]builds.Accepted{}
	known(t, all, c)
	over := make(chan map[string]builds.Accepted)
	go func() { over <- crowd(t, []*queue.Client{c}, 1, 1000) }()
	eventually(t, "the crowd is being stored", func() bool {
		queued, err := queueOf(c).Queued(t.Context())
		return err == nil && len(queued) > 50
	})
	s.Stop()
	s.Resume(t)
	for build, a := range <-over {
		all[build] = a
	}
	// A request whose answer was lost is sent again, and is a second one where another of its
	// pipeline came in between: there may be more than those that were accepted, and no fewer.
	have, _ := kept(t, c)
	are(t, have, all)
}

func TestACrowdAtAFullStreamLosesNothing(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Limit(t, "fenceline-requests", func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 128 << 10 })
	all := map[string]builds.Accepted{}
	known(t, all, c)
	for build, a := range crowd(t, []*queue.Client{c}, 1, 400) {
		all[build] = a
	}
	if stored(t, c, all); len(all) < 20 || len(all) >= 404 {
		t.Errorf("128 KiB take %d requests", len(all))
	}
}
