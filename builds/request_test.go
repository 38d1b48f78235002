package builds_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestTheSamePushTwiceIsOneBuild(t *testing.T) {
	s := queuetest.Start(t)
	c, other := s.Client(t), s.Client(t)
	a := submit(t, c, request("base", 1))
	for _, client := range []*queue.Client{c, other} {
		if b := submit(t, client, request("base", 1)); !b.Duplicate || b.Build != a.Build || b.Order != a.Order {
			t.Errorf("the same push again is %+v, not a duplicate of %+v", b, a)
		}
	}
	if b := submit(t, c, request("other", 1)); b.Duplicate {
		t.Error("the same push of another pipeline is a duplicate")
	}
	b := submit(t, other, request("base", 2))
	if b.Duplicate || b.Order <= a.Order {
		t.Errorf("a newer push is %+v after %+v", b, a)
	}
	// c still remembers push 1 as the last, but it is not.
	if again := submit(t, c, request("base", 1)); again.Duplicate {
		t.Error("a push back to an earlier commit is a duplicate")
	}
}

func TestAPushIsBuiltAgainOnceItsBuildWasSuperseded(t *testing.T) {
	s := queuetest.Start(t)
	clients := []*queue.Client{s.Client(t), s.Connect(t)}
	stop := consume(t, clients[0], work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		return &messages.BuildSuperseded{Commit: j.Request.Commit, Head: commit(2)}, nil
	}))
	a := submit(t, clients[0], request("base", 1))
	if r := ended(t, clients[0], a.Build); r.State != messages.BuildStateSuperseded {
		t.Fatalf("the build ended as %s", r.State)
	}
	stop()
	var all sync.WaitGroup
	again := make([]builds.Accepted, 8) // the push back to it, sent several times at once
	for i := range again {
		all.Go(func() {
			var err error
			if again[i], err = queueOf(clients[i%len(clients)]).Request(within(t), request("base", 1), ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	fresh := 0
	for _, b := range again {
		if b.Build == a.Build || b.Build != again[0].Build || b.Order <= a.Order {
			t.Errorf("it is %+v, after %+v and beside %+v", b, a, again[0])
		}
		if !b.Duplicate {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of %d were accepted as new", fresh, len(again))
	}
}

func TestDuplicatesAreFoundPastARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	a := submit(t, c, request("base", 1))
	c.Close()
	s.Restart(t)
	if b := submit(t, s.Client(t), request("base", 1)); !b.Duplicate || b.Build != a.Build {
		t.Errorf("after a restart the same push is %+v, not a duplicate of %+v", b, a)
	}
}

func TestManyProducersAcceptEachPushOnce(t *testing.T) {
	s := queuetest.Start(t)
	first := s.Client(t)
	clients := []*queue.Client{first, s.Connect(t), s.Connect(t)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for i := range 12 {
		wg.Go(func() {
			a, err := queueOf(clients[i%len(clients)]).Request(within(t), request("base", 7), "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if !a.Duplicate {
				fresh++
			}
		})
	}
	wg.Wait()
	if fresh != 1 {
		t.Errorf("%d of 12 equal pushes were accepted as new", fresh)
	}
}

func TestAFullStreamRefusesAndLosesNothing(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Limit(t, "fenceline-requests", func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 4 << 10 })
	accepted := 0
	for n := 1; ; n++ {
		_, err := queueOf(c).Request(within(t), request("base", n), "")
		if errors.Is(err, queue.ErrFull) {
			break
		}
		must(t, err)
		accepted++
		if accepted > 100 {
			t.Fatal("a stream of 4 KiB takes 100 requests")
		}
	}
	queued, err := queueOf(c).Queued(within(t))
	must(t, err)
	if len(queued) != accepted || queued[0].Commit != commit(1) {
		t.Errorf("%d of %d accepted requests are there", len(queued), accepted)
	}
}

func TestWithoutTheServerARequestIsUnavailable(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	submit(t, c, request("base", 1))
	s.Stop()
	if _, err := queueOf(c).Request(within(t), request("base", 2), ""); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	s.Resume(t)
	eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	if a := submit(t, c, request("base", 2)); a.Duplicate {
		t.Errorf("refused while the server was gone, %+v now", a)
	}
}

func TestWhoGivesUpLeavesNobodyElseWaiting(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	q := queueOf(c)
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := q.Request(ctx, request("base", 1), ""); !errors.Is(err, queue.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("of who gave up: %v", err)
	}
	if _, err := q.Request(within(t), request("base", 2), ""); err != nil {
		t.Errorf("of who came after: %v", err)
	}
}

func TestAnInvalidRequestIsRefused(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	r := request("base", 1)
	r.Cause = "whim"
	if _, err := queueOf(c).Request(within(t), r, ""); err == nil {
		t.Error("accepted")
	}
	if _, err := queueOf(c).Request(within(t), &messages.BuildRequested{}, ""); err == nil {
		t.Error("accepted")
	}
}
