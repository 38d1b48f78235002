package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go"
)

func TestContextsComeBackWhole(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	content := bytes.Repeat([]byte("fenceline"), 100_000)
	must(t, c.PutContext(within(t), "ctx-1", bytes.NewReader(content)))
	r, err := c.GetContext(within(t), "ctx-1")
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back of %d", len(got), len(content))
	}
	must(t, c.DeleteContext(within(t), "ctx-1"))
	must(t, c.DeleteContext(within(t), "ctx-1"))
	if _, err := c.GetContext(within(t), "ctx-1"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("reading it once deleted: %v", err)
	}
	if err := c.PutContext(within(t), "../x", bytes.NewReader(nil)); err == nil {
		t.Error("a bad name is taken")
	}
}

func TestLogsAreFollowedAcrossARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	ref := messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	lines := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.ReadLogs(ctx, queue.ReadOptions{Follow: true, Filters: []string{c.Space().Filter(messages.TypeBuildLog, "base", "base-x")[:len(c.Space().Filter(messages.TypeBuildLog, "base", "base-x"))-2]}},
			func(r queue.Received) error { lines <- r.Payload.(*messages.BuildLog).Text; return nil })
	}()
	must(t, c.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: "one"}))
	if got := <-lines; got != "one" {
		t.Errorf("followed %q", got)
	}
	s.Restart(t)
	eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	must(t, c.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: strings.Repeat("x", 100<<10) + "two"}))
	if got := <-lines; !strings.HasSuffix(got, "two") || len(got) > 70<<10 {
		t.Errorf("followed %d bytes", len(got))
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
}

func TestAReaderEndsThoughWhatItWaitedForWasRemoved(t *testing.T) {
	t.Parallel()
	c := queuetest.Start(t).Client(t)
	js := c.JetStream()
	p := &messages.NodeFailed{Fleet: "f", Node: "n1"}
	m, err := messages.Encode(c.Envelope("n1", ""), p)
	must(t, err)
	for range 1500 { // more than a reader asks for at one time
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: c.Space().Subject(p), Header: nats.Header(m.Headers), Data: m.Body})
		must(t, err)
	}
	<-js.PublishAsyncComplete()
	s, err := js.Stream(within(t), c.Space().EventsStream())
	must(t, err)
	read := 0
	must(t, c.ReadEvents(within(t), queue.ReadOptions{}, func(queue.Received) error {
		if read++; read > 1 {
			return nil
		}
		return s.Purge(t.Context())
	}))
	if read == 0 || read >= 1500 {
		t.Errorf("%d were read, so that this shows nothing", read)
	}
}

func TestReadersLeaveNoConsumersBehind(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	fleetRecord(t, c, "f")
	must(t, c.PutContext(within(t), "ctx-1", strings.NewReader("a tar")))
	for range 5 {
		_, err := queue.Fleets(c).List(within(t))
		must(t, err)
		must(t, c.ReadEvents(within(t), queue.ReadOptions{}, nil))
		r, err := c.GetContext(within(t), "ctx-1")
		must(t, err)
		_, err = io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
	}
	for _, name := range []string{"KV_fenceline-fleets", "fenceline-events", "OBJ_fenceline-contexts"} {
		eventually(t, "no consumer is left of "+name, func() bool {
			s, err := c.JetStream().Stream(t.Context(), name)
			return err == nil && s.CachedInfo().State.Consumers == 0
		})
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
		must(t, far.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: "lost"}))
	}
	s.Stop()
	p.Release()
	s.Resume(t)
	for _, client := range []*queue.Client{c, far} {
		eventually(t, "the client is back", func() bool { return client.Ready(t.Context()) == nil })
	}
	told := make(chan string, 100)
	go func() {
		_ = c.ReadLogs(t.Context(), queue.ReadOptions{Follow: true}, func(r queue.Received) error {
			if text := r.Payload.(*messages.BuildLog).Text; strings.Contains(text, "were lost") {
				told <- text
			}
			return nil
		})
	}()
	eventually(t, "the log says what is missing", func() bool {
		must(t, far.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: "more"}))
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
		if err := far.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: "lost"}); errors.Is(err, queue.ErrFull) {
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
		_ = c.Log(within(t), &messages.BuildLog{BuildRef: ref, Text: "lost"})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("100 dropped log messages took %s", took)
	}
	s.Resume(t)
}

func TestPublishOnceStoresOnce(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := ready(request("base", 1))
	p.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	for i := range 3 {
		m, err := messages.Encode(c.Envelope("base-x", ""), p)
		must(t, err)
		stored, err := c.PublishOnce(within(t), c.Space().Subject(p), m)
		if err != nil || stored != (i == 0) {
			t.Errorf("time %d: stored %v, %v", i+1, stored, err)
		}
	}
}

// misplaced publishes a message on a subject of another one.
func misplaced(t *testing.T, c *queue.Client, subject string, p messages.Payload) {
	t.Helper()
	m, err := messages.Encode(c.Envelope("x", ""), p)
	must(t, err)
	_, err = c.JetStream().PublishMsg(within(t), &nats.Msg{Subject: subject, Header: nats.Header(m.Headers), Data: m.Body})
	must(t, err)
}

func TestWhatACredentialMayNotTellIsNotBelievedOnASubjectThatItHas(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	own := c.Space().Subject(&messages.NodeFailed{Fleet: "f", Node: "n1"})
	forged := ready(request("base", 1))
	forged.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	misplaced(t, c, own, forged)
	misplaced(t, c, own, &messages.NodeFailed{Fleet: "f", Node: "n2"})
	misplaced(t, c, c.Space().RequestSubject("other"), request("base", 1))
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1", Reason: "true"}))
	take := func(r queue.Received) error {
		if m, ok := r.Payload.(*messages.NodeFailed); !ok || m.Reason != "true" {
			t.Errorf("%s is believed to be %T", r.Subject, r.Payload)
		}
		return nil
	}
	must(t, c.ReadEvents(within(t), queue.ReadOptions{}, take))
	go func() {
		_ = c.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeNodeFailed},
			func(_ context.Context, r queue.Received) error { return take(r) })
	}()
	consume(t, c, work(func(_ context.Context, j *queue.Job) (messages.Payload, error) {
		t.Errorf("%s was built", j.Request.Build)
		return ready(j.Request), nil
	}))
	eventually(t, "all three are dead letters", func() bool {
		letters, err := c.DeadLetters(t.Context())
		return err == nil && len(letters) == 3
	})
}

func TestAReaderEndsWhereItsFunctionDoes(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for n := range 5 {
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: fmt.Sprintf("n%d", n)}))
	}
	enough := errors.New("enough")
	n := 0
	err := c.ReadEvents(within(t), queue.ReadOptions{FromSequence: 2, Follow: true}, func(r queue.Received) error {
		if n++; r.Sequence != uint64(n+1) {
			t.Errorf("message %d came as number %d", r.Sequence, n)
		}
		if n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("after %d: %v", n, err)
	}
}
