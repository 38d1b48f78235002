package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestWaitingWhileTheServerIsAway: each command that waits says that the server is away, and ends with
// what to do later.
func TestWaitingWhileTheServerIsAway(t *testing.T) {
	for name, test := range map[string]struct {
		wait func(ctx context.Context, s *session) error
		says []string
	}{
		"a build's end": {func(ctx context.Context, s *session) error { return s.awaitBuild(ctx, "base-dddddddd", 0, false) }, []string{"goes on", "'fenceline logs -f base-dddddddd'"}},
		"the fence config": {func(ctx context.Context, s *session) error {
			_, err := s.awaitApplied(ctx, messages.FleetRecord{Fleet: "production", Epoch: 9}, time.Hour)
			return err
		}, []string{"decided, but", "'fenceline status'"}},
		"steps": {func(ctx context.Context, s *session) error {
			w := newWatcher(s)
			return s.attended(ctx, w.run)
		}, nil},
		"a log": {func(ctx context.Context, s *session) error {
			return s.attended(ctx, func(ctx context.Context) error {
				return s.showLogs(ctx, "base-dddddddd", logView{out: s.out, follow: true})
			})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := queuetest.Start(t)
			c := server.Client(t)
			prepare(t, c)
			var out clitest.Output // of both, as a log that is drawn has the notes between its lines
			ended := make(chan error, 1)
			s := &session{queue: c, out: &out, notes: &out, patience: 300 * time.Millisecond}
			before := server.Server().NumSubscriptions()
			go func() { ended <- test.wait(t.Context(), s) }()
			queuetest.Eventually(t, "it to follow something", func() bool { return server.Server().NumSubscriptions() > before })
			server.Stop()
			err := <-ended
			if got := out.String(); !strings.Contains(got, "it is waited for") {
				t.Errorf("it says %q while it waits", got)
			}
			if !errors.Is(err, errAway) {
				t.Fatalf("it ends with %v", err)
			}
			for _, want := range append(test.says, "the server is away", "for more than 300ms") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it ends with %q, without %q", err, want)
				}
			}
		})
	}
}

// TestServerThatComesBack ends no waiting.
func TestServerThatComesBack(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	var notes clitest.Output
	away := notes.Await("it is waited for")
	s := &session{queue: c, notes: &notes}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.attended(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		})
	}()
	server.Stop()
	<-away
	back := notes.Await("is there again")
	server.Resume(t)
	<-back
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// TestSubmitWaitsBounded ends with 1 and how to follow the build, with and without a server.
func TestSubmitWaitsBounded(t *testing.T) {
	for gone, timeout := range map[bool]string{false: "1s", true: "10s"} { // long enough to see that it is gone
		server := queuetest.Start(t)
		prepare(t, server.Client(t))
		accepted := make(chan struct{}, 1)
		producer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(answer{Builds: []submission{{Build: "base-dddddddd", Order: 14}}})
			accepted <- struct{}{}
		}))
		defer producer.Close()
		token := filepath.Join(t.TempDir(), "token")
		clitest.Write(t, token, "0123456789abcdef0123456789abcdef\n")
		args := []string{"submit", "base", "--wait", "--timeout", timeout, "--nats", server.URL(), "--producer", producer.URL, "--token-file", token}
		var out, errs bytes.Buffer
		ended := make(chan int, 1)
		go func() { ended <- Execute(t.Context(), NewRoot(), args, strings.NewReader(""), &out, &errs) }()
		<-accepted
		if gone {
			server.Stop()
		}
		status := <-ended
		for _, want := range []string{"it has not ended within " + timeout, "build base-dddddddd goes on", "'fenceline logs -f base-dddddddd' follows it"} {
			if status != ExitFailed || !strings.Contains(errs.String(), want) {
				t.Errorf("without a server %v: status %d, %q, without %q", gone, status, errs.String(), want)
			}
		}
		if gone != strings.Contains(errs.String(), "the server is away") {
			t.Errorf("without a server %v it says %q", gone, errs.String())
		}
	}
}

// TestRollbackWithoutServer stands, and says that its effect is not known.
func TestRollbackWithoutServer(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	s := &session{queue: c}
	server.Stop()
	queuetest.Eventually(t, "the connection is gone", func() bool { return !c.Connected() })
	_, err := s.awaitApplied(t.Context(), messages.FleetRecord{Fleet: "production", Epoch: 9}, 100*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "the server is away") || strings.Contains(err.Error(), "is a controller running") {
		t.Errorf("it says %v", err)
	}
}
