package builds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestLogsAreFollowedAcrossARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	ref := messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	lines := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Read(ctx, c.Space().LogsStream(), queue.ReadOptions{Follow: true, Filters: []string{c.Space().Filter(messages.TypeBuildLog, "base", "base-x")[:len(c.Space().Filter(messages.TypeBuildLog, "base", "base-x"))-2]}},
			func(r queue.Received) error { lines <- r.Payload.(*messages.BuildLog).Text; return nil })
	}()
	must(t, queueOf(c).Log(&messages.BuildLog{BuildRef: ref, Text: "one"}))
	if got := <-lines; got != "one" {
		t.Errorf("followed %q", got)
	}
	s.Restart(t)
	eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	must(t, queueOf(c).Log(&messages.BuildLog{BuildRef: ref, Text: strings.Repeat("x", 100<<10) + "two"}))
	if got := <-lines; !strings.HasSuffix(got, "two") || len(got) > 70<<10 {
		t.Errorf("followed %d bytes", len(got))
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
}

func TestALogTellsHowManyMessagesABrokenConnectionTook(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	p := s.Proxy(t)
	far := s.Connect(t, through(p))
	ref := messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	p.Hold()
	for range 3 {
		must(t, queueOf(far).Log(&messages.BuildLog{BuildRef: ref, Text: "lost"}))
	}
	s.Stop()
	p.Release()
	s.Resume(t)
	for _, client := range []*queue.Client{c, far} {
		eventually(t, "the client is back", func() bool { return client.Ready(t.Context()) == nil })
	}
	told := make(chan string, 100)
	go func() {
		_ = c.Read(t.Context(), c.Space().LogsStream(), queue.ReadOptions{Follow: true}, func(r queue.Received) error {
			if text := r.Payload.(*messages.BuildLog).Text; strings.Contains(text, "were lost") {
				told <- text
			}
			return nil
		})
	}()
	eventually(t, "the log says what is missing", func() bool {
		must(t, queueOf(far).Log(&messages.BuildLog{BuildRef: ref, Text: "more"}))
		return len(told) > 0
	})
	if got := <-told; got != "[3 log messages were lost]\nmore" {
		t.Errorf("it says %q", got)
	}
}

func TestAServerThatHangsHoldsNoBuildUp(t *testing.T) {
	s := queuetest.Start(t)
	s.Client(t)
	p := s.Proxy(t)
	far := s.Connect(t, through(p))
	ref := messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	p.Hold()
	var refused, waited time.Duration
	for range 2200 { // 2048 may wait
		began := time.Now()
		if err := queueOf(far).Log(&messages.BuildLog{BuildRef: ref, Text: "lost"}); errors.Is(err, queue.ErrUnavailable) {
			refused++
			waited += time.Since(began)
		} else {
			must(t, err)
		}
	}
	if refused == 0 || waited/refused > 100*time.Millisecond { // only the first waits for room, 200 ms
		t.Errorf("%d were refused, after %s in all", refused, waited)
	}
}

func TestWithoutAServerALogIsDroppedAtOnce(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Stop()
	ref := messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	eventually(t, "the connection is known to be gone", func() bool { return c.Ready(t.Context()) != nil })
	began := time.Now()
	for range 100 {
		_ = queueOf(c).Log(&messages.BuildLog{BuildRef: ref, Text: "lost"})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("100 dropped log messages took %s", took)
	}
	s.Resume(t)
}
