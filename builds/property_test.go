package builds_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"pgregory.net/rapid"
)

// TestMain keeps the property test, whose every case runs workers to their death, short;
// -rapid.checks asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		_ = flag.Set("rapid.checks", "12")
	}
	os.Exit(m.Run())
}

// fate is what becomes of one attempt.
type fate int

const (
	fateSucceed fate = iota
	fateUserFails
	fateInfrastructureFails
	fateKilledInBuild
	fateKilledInTag
	fateKilledAtAnnouncement // right after Tag returned
	fateCount
)

// mortal is a worker that may be killed: its connection is cut, and nothing it does later
// reaches the server.
type mortal struct {
	proxy *queuetest.Proxy
	stop  func()
	dead  chan struct{}
	once  sync.Once
}

func (m *mortal) kill() {
	m.once.Do(func() {
		m.proxy.Cut()
		close(m.dead)
	})
}

// world is one case of the property: fates that attempts meet in the order they happen.
type world struct {
	mu    sync.Mutex
	fates []fate
}

func (w *world) next() fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fates) == 0 {
		return fateSucceed
	}
	f := w.fates[0]
	w.fates = w.fates[1:]
	return f
}

func (w *world) start(t *testing.T, s *queuetest.Server, space messages.Space) *mortal {
	p := s.Proxy(t)
	c := s.Connect(t, through(p), func(o *queue.Options) { o.Space = space })
	m := &mortal{proxy: p, dead: make(chan struct{})}
	var mu sync.Mutex
	inTag := map[string]fate{}
	k := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		f := w.next()
		switch f {
		case fateUserFails:
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}}, nil
		case fateInfrastructureFails:
			return nil, errors.New("buildkitd is gone")
		case fateKilledInBuild:
			m.kill()
		}
		mu.Lock()
		inTag[j.Request.Build] = f
		mu.Unlock()
		return ready(j.Request), nil
	})
	k.Tag = func(_ context.Context, r messages.BuildRecord) error {
		mu.Lock()
		defer mu.Unlock()
		switch inTag[r.Build] {
		case fateKilledInTag:
			m.kill()
			return errors.New("killed")
		case fateKilledAtAnnouncement:
			m.kill()
		}
		return nil
	}
	k.AckWait, k.Slots, k.Worker = 400*time.Millisecond, 2, "w-"+messages.NewID()
	m.stop = consume(t, c, k)
	return m
}

func TestEveryRequestEndsOnceHoweverWorkersDie(t *testing.T) {
	s := queuetest.Start(t) // on which each check declares an installation of its own
	rapid.Check(t, func(r *rapid.T) {
		space, err := messages.NewSpace("p" + messages.NewID())
		must(t, err)
		c := s.Client(t, func(o *queue.Options) { o.Space = space })
		w := &world{}
		for _, f := range rapid.SliceOfN(rapid.IntRange(0, int(fateCount)-1), 0, 8).Draw(r, "fates") {
			w.fates = append(w.fates, fate(f))
		}
		var builds []string
		for i := range rapid.IntRange(1, 5).Draw(r, "requests") {
			builds = append(builds, submit(t, c, request(fmt.Sprintf("p%d", i%2), i+1)).Build)
		}
		running := w.population(t, s, space, rapid.IntRange(1, 3).Draw(r, "workers"))
		for _, b := range builds {
			ended(t, c, b)
		}
		running()
		check(t, r, c, builds)
	})
}

// population keeps n workers alive: whoever is killed is replaced.
func (w *world) population(t *testing.T, s *queuetest.Server, space messages.Space, n int) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				m := w.start(t, s, space)
				select {
				case <-m.dead:
				case <-over:
					m.stop()
					return
				}
			}
		})
	}
	return func() { close(over); wg.Wait() }
}

func check(t *testing.T, r *rapid.T, c *queue.Client, builds []string) {
	got := endings(t, c)
	if len(got) != len(builds) {
		r.Fatalf("%d builds have the endings %v", len(builds), got)
	}
	for what, n := range got {
		if n != 1 {
			r.Errorf("%s happened %d times", what, n)
		}
	}
	for _, b := range builds {
		e, err := store.Builds(c).Get(t.Context(), b)
		if err != nil {
			r.Fatal(err)
		}
		want := map[messages.BuildState]string{messages.BuildStateSucceeded: "image.ready ", messages.BuildStateFailed: "build.failed "}[e.Value.State]
		if want == "" || got[want+b] != 1 {
			r.Errorf("the record of %s says %s, the events %s", b, e.Value.State, strings.Join(keys(got), ", "))
		}
	}
}

func keys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
