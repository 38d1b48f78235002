package e2e

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// startProducer starts a producer on its own, over an outside NATS.
func (s *stack) startProducer(t *testing.T, nats string) *site.Process {
	t.Helper()
	p, err := site.Start(site.Program{
		Path: s.Program, Dir: s.dir,
		Args: []string{"run", "producer", "--nats", nats, "--config", s.config(), "--listen", s.http},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// refuses waits for a role to give up, and returns what it said.
func refuses(t *testing.T, p *site.Process) string {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("it still runs:\n%s", p.Tail(20))
	}
	if p.ExitCode() != 1 {
		t.Errorf("it ended with status %d, want 1", p.ExitCode())
	}
	return p.Output()
}

func TestNATSGoneAtStart(t *testing.T) {
	s := fresh(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "nats://" + l.Addr().String()
	l.Close()
	said := refuses(t, s.startProducer(t, gone))
	for _, want := range []string{gone, "does not answer"} {
		if !strings.Contains(said, want) {
			t.Errorf("it says %q, without %q", said, want)
		}
	}
	said = fails(t, t.TempDir(), 1, "status", "--nats", gone)
	if !strings.Contains(said, gone) {
		t.Errorf("status says %q, without the address", said)
	}
}

// TestNATSGoneInTheMiddle takes NATS from a running producer and gives it back.
func TestNATSGoneInTheMiddle(t *testing.T) {
	s := fresh(t)
	server := queuetest.Start(t)
	p := s.startProducer(t, server.URL())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := site.Ready(ctx, p, "http://"+s.http); err != nil {
		t.Fatalf("%v\n%s", err, p.Tail(20))
	}
	send := func(digit string) answer {
		got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/one.git", "refs/heads/main", strings.Repeat(digit, 40)))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := send("a")
	if before.status != http.StatusAccepted {
		t.Fatalf("%+v", before)
	}
	server.Stop()
	if got := send("b"); got.status != http.StatusServiceUnavailable || got.Error == "" {
		t.Errorf("without NATS: %+v, want 503 and a reason", got)
	}
	server.Resume(t)
	await(t, "an answer 202 again", func(ctx context.Context) error {
		got, err := s.send(ctx, s.pushHook(s.git.URL+"/one.git", "refs/heads/main", strings.Repeat("c", 40)))
		if err == nil && got.status != http.StatusAccepted {
			err = &site.CommandError{Args: []string{"hook"}, Status: got.status, Stderr: got.Error}
		}
		return err
	})
	var builds []build
	if err := s.JSON(t.Context(), &builds, "builds", "--nats", server.URL()); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, b := range builds {
		found[b.Commit[:1]] = true
	}
	if !found["a"] || !found["c"] || found["b"] {
		t.Errorf("stored are %+v; want a and c, which were answered 202, and not b", builds)
	}
}

// TestStreamOfOthers starts a producer where a stream of its name has other settings.
func TestStreamOfOthers(t *testing.T) {
	s := fresh(t)
	server := queuetest.Start(t)
	js := server.Connect(t).JetStream()
	have := jetstream.StreamConfig{
		Name: "fenceline-requests", Subjects: []string{"fenceline.build.requested.>"}, MaxMsgs: 3, Retention: jetstream.WorkQueuePolicy,
	}
	if _, err := js.CreateStream(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	said := refuses(t, s.startProducer(t, server.URL()))
	for _, want := range []string{have.Name, "retention"} {
		if !strings.Contains(strings.ToLower(said), want) {
			t.Errorf("it says %q, without %q", said, want)
		}
	}
	stream, err := js.Stream(t.Context(), have.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config; got.MaxMsgs != have.MaxMsgs || got.Retention != have.Retention {
		t.Errorf("the stream was changed to %+v", got)
	}
}
