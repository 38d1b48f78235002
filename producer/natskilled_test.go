package producer

import (
	"context"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

func TestMain(m *testing.M) {
	queuetest.ServeIfTold()
	os.Exit(m.Run())
}

// connected connects to a server and declares what it keeps, once it answers.
func connected(t *testing.T, n *queuetest.Process) *queue.Client {
	t.Helper()
	space, err := messages.NewSpace("")
	if err != nil {
		t.Fatal(err)
	}
	var c *queue.Client
	until(t, "NATS answers", func() bool {
		c, err = queue.Connect(t.Context(), queue.Options{URL: n.URL(), Space: space, Name: "test", Source: "/fenceline/test", Logger: zerolog.Nop()})
		if err != nil {
			return false
		}
		if err = store.Declare(t.Context(), c, store.Layout{}); err != nil {
			c.Close()
		}
		return err == nil
	})
	t.Cleanup(c.Close)
	return c
}

// TestNothingAcceptedIsLostWhenNATSIsKilled kills the server's process under the webhooks of many, again and again.
func TestNothingAcceptedIsLostWhenNATSIsKilled(t *testing.T) {
	n := queuetest.StartProcess(t)
	c := connected(t, n)
	p := newProducer(t, builds.New(c), zerolog.Nop())
	p.storeTimeout = time.Second
	s := senders()[3]
	var lock sync.Mutex
	accepted := map[string]string{} // commits, by build
	var next, taken, refused atomic.Int64
	send := func() {
		sum := commit(int(next.Add(1)))
		status, a, h := serve(p, s.hook(testSecret, s.payload(baseURL, mainRef, sum)))
		switch {
		case status == http.StatusAccepted:
			taken.Add(1)
			lock.Lock()
			defer lock.Unlock()
			for _, b := range a.Builds {
				accepted[b.Build] = sum
			}
		case status == http.StatusServiceUnavailable && h.Get("Retry-After") != "":
			refused.Add(1)
		default:
			t.Errorf("status %d, %+v", status, a)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			for ctx.Err() == nil {
				send()
			}
		})
	}
	for range 3 {
		before, away := taken.Load(), refused.Load()
		until(t, "webhooks are accepted", func() bool { return taken.Load() > before+100 })
		n.Kill()
		until(t, "webhooks are refused", func() bool { return refused.Load() > away })
		n.Start(t)
	}
	before := taken.Load()
	until(t, "webhooks are accepted once more", func() bool { return taken.Load() > before+100 })
	stop()
	clients.Wait()
	got := stored(t, c)
	for build, sum := range accepted {
		if got[build].Commit != sum {
			t.Errorf("build %s of %s was accepted, %+v is stored", build, sum, got[build])
		}
	}
	t.Logf("%d of %d webhooks were accepted, %d requests are stored", taken.Load(), next.Load(), len(got))
}
