package producer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
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
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// natsVariable makes this test binary, run again, a NATS server: "PORT FOLDER".
const natsVariable = "FENCELINE_TEST_NATS"

func TestMain(m *testing.M) {
	if told := os.Getenv(natsVariable); told != "" {
		if err := serveNATS(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveNATS is a NATS server that syncs every write, until standard input ends.
func serveNATS(told string) error {
	port, dir, _ := strings.Cut(told, " ")
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: n, JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 50, SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// natsProcess is a NATS server as a process of its own, which is killed and started again on its store.
type natsProcess struct {
	told string
	cmd  *exec.Cmd
	in   io.Closer
}

func (n *natsProcess) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command(os.Args[0])
	n.cmd.Env = append(os.Environ(), natsVariable+"="+n.told)
	n.cmd.Stderr = os.Stderr
	in, err := n.cmd.StdinPipe() // it ends with this process
	if err != nil {
		t.Fatal(err)
	}
	n.in = in
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (n *natsProcess) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait() // killed
	_ = n.in.Close()
}

// connected connects to the server and declares what it keeps, once it answers.
func (n *natsProcess) connected(t *testing.T) *queue.Client {
	t.Helper()
	space, err := messages.NewSpace("")
	if err != nil {
		t.Fatal(err)
	}
	port, _, _ := strings.Cut(n.told, " ")
	var c *queue.Client
	until(t, "NATS answers", func() bool {
		c, err = queue.Connect(t.Context(), queue.Options{URL: "nats://127.0.0.1:" + port, Space: space, Name: "test", Source: "/fenceline/test", Logger: zerolog.Nop()})
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
	n := &natsProcess{told: fmt.Sprintf("%d %s", queuetest.Port(t), t.TempDir())}
	n.start(t)
	t.Cleanup(func() { n.kill() })
	c := n.connected(t)
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
		n.kill()
		until(t, "webhooks are refused", func() bool { return refused.Load() > away })
		n.start(t)
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
