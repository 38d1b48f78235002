package sinks

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/rs/zerolog"
)

// workerVariable makes this program, run again, a worker: "NATS SINK".
const workerVariable = "FENCELINE_TEST_SINKS"

func TestMain(m *testing.M) {
	if told := os.Getenv(workerVariable); told != "" {
		if err := workAlone(told); err != nil {
			fmt.Fprintln(os.Stderr, "worker for a test:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// workAlone is a worker until it is killed, or standard input ends.
func workAlone(told string) error {
	nats, url, _ := strings.Cut(told, " ")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_ = bufio.NewScanner(os.Stdin).Scan()
		cancel()
	}()
	o := queue.Options{URL: nats, Name: "worker", Source: "/fenceline/statuses/w", Asks: true, Logger: zerolog.Nop()}
	queuetest.Credentials("statuses")(&o)
	q, err := queue.Connect(ctx, o)
	if err != nil {
		return err
	}
	k, err := form.Sink{Name: "audit", URL: url}.Fill()
	if err != nil {
		return err
	}
	w, err := New(Config{Queue: q, Name: messages.NewID(), Target: Target{Sinks: []form.Sink{k}}, Logger: zerolog.Nop(), LeaseTTL: time.Second, Pause: 10 * time.Millisecond, Look: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	w.Run(ctx)
	return nil
}

// process is a worker as a process of its own.
func (s *site) process(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerVariable+"="+s.URL()+" "+url)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe() // it ends with this process
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// TestNothingIsLostByKills: workers are killed at any moment, and the receiver is away for a while. Each event of a rollout comes, in
// the order of its fleet but for those that come again under the same name.
func TestNothingIsLostByKills(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	var away atomic.Bool
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return away.Load()
	})
	worker := s.process(t, r.URL)
	s.begun(t, "audit")
	const each = 60
	fleets := []string{"production", "staging"}
	for i := range each {
		for _, fleet := range fleets {
			must(t, s.admin.Publish(within(t), "", &messages.RolloutChanged{Fleet: fleet, Rollout: fleet + "-b", State: messages.RolloutPreloading, Why: fmt.Sprintf("step %d", i)}))
		}
		if i%15 == 14 {
			away.Store(i%30 == 14)
			must(t, worker.Process.Kill())
			_ = worker.Wait()
			worker = s.process(t, r.URL)
		}
	}
	away.Store(false)
	for _, fleet := range fleets {
		eventually(t, "all of "+fleet+" are there", func() bool { return len(r.once(fleet)) == each })
		for i, body := range r.once(fleet) {
			if !strings.Contains(body, fmt.Sprintf(`"why":"step %d"`, i)) {
				t.Fatalf("as number %d of %s came %s", i, fleet, body)
			}
		}
	}
	eventually(t, "nothing waits", func() bool { return s.record(t, "audit").Waiting == 0 })
	if n, doubles := len(r.all()), len(r.all())-each*len(fleets); doubles > unnotedMost*each/15 {
		t.Errorf("%d of %d came again: each kill may have %d", doubles, n, unnotedMost)
	}
}

// once are the events of a fleet, each the first time that it came.
func (r *receiver) once(fleet string) []string {
	var ids, out []string
	for _, p := range r.all() {
		id := p.header.Get("Webhook-Id")
		if strings.Contains(p.body, `"fleet":"`+fleet+`"`) && !slices.Contains(ids, id) {
			ids, out = append(ids, id), append(out, p.body)
		}
	}
	return out
}
