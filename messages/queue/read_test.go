package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go"
)

func TestAReaderEndsThoughWhatItWaitedForWasRemoved(t *testing.T) {
	t.Parallel()
	c := queuetest.Start(t).Client(t)
	js := queuetest.JetStream(t, c)
	p := &messages.NodeFailed{Fleet: "f", Node: "n1"}
	m, err := messages.Encode(c.Envelope("n1", ""), p)
	must(t, err)
	for range 1500 { // more than a reader asks for at one time
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: c.Space().Subject(p), Header: nats.Header(m.Headers), Data: m.Body})
		must(t, err)
	}
	<-js.PublishAsyncComplete()
	s, err := js.Stream(within(t), c.Space().ReportsStream())
	must(t, err)
	read := 0
	must(t, c.Read(within(t), c.Space().ReportsStream(), queue.ReadOptions{}, func(queue.Received) error {
		if read++; read > 1 {
			return nil
		}
		return s.Purge(t.Context())
	}))
	if read == 0 || read >= 1500 {
		t.Errorf("%d were read, so that this shows nothing", read)
	}
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

func TestAReaderEndsWhereItsFunctionDoes(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for n := range 5 {
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: fmt.Sprintf("n%d", n)}))
	}
	enough := errors.New("enough")
	n := 0
	err := c.Read(within(t), c.Space().ReportsStream(), queue.ReadOptions{FromSequence: 2, Follow: true}, func(r queue.Received) error {
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

// TestAReaderFollowsAStreamThatStartsOver makes a stream anew under readers, with consumers and without: they
// are given what comes, though its sequences are lower.
func TestAReaderFollowsAStreamThatStartsOver(t *testing.T) {
	t.Parallel()
	_, as := queuetest.Guarded(t)
	c := as("admin")
	must(t, store.Declare(within(t), c, store.Layout{}))
	stream := c.Space().ReportsStream()
	say := func(node string) {
		t.Helper()
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: node}))
	}
	for _, user := range []string{"controller", "producer"} {
		given, begun := make(chan string, 99), make(chan struct{})
		next := func(want string) {
			t.Helper()
			select {
			case got := <-given:
				if got != want {
					t.Fatalf("%s is given %s, and not %s", user, got, want)
				}
			case <-within(t).Done():
				t.Fatalf("%s is not given %s", user, want)
			}
		}
		reader := as(user)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		say("before")
		go func() {
			defer close(ended)
			o := queue.ReadOptions{New: true, Follow: true, CaughtUp: func() { close(begun) }}
			_ = reader.Read(ctx, stream, o, func(r queue.Received) error {
				given <- r.Payload.(*messages.NodeFailed).Node
				return nil
			})
		}()
		<-begun
		for n := range 4 {
			say(fmt.Sprintf("n%d", n))
			next(fmt.Sprintf("n%d", n))
		}
		queuetest.Remake(t, c, stream)
		say("anew")
		next("anew")
		end()
		<-ended
	}
}

// TestAReaderWithoutAConsumerSeldomLooksAtItsStream: the leader of a stream has to say what it is, and is not to be asked with each message.
func TestAReaderWithoutAConsumerSeldomLooksAtItsStream(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c, reader := s.Client(t), s.Connect(t, func(o *queue.Options) { o.Asks = true })
	stream := c.Space().ReportsStream()
	nc := queuetest.JetStream(t, c).Conn()
	asked := func(api string) func() int {
		sub, err := nc.SubscribeSync("$JS.API." + api + "." + stream)
		must(t, err)
		return func() int {
			n, _, err := sub.Pending()
			must(t, err)
			return n
		}
	}
	looks, reads := asked("STREAM.INFO"), asked("DIRECT.GET")
	must(t, nc.FlushWithContext(within(t)))
	given, begun := make(chan struct{}), make(chan struct{})
	go func() {
		o := queue.ReadOptions{New: true, Follow: true, CaughtUp: func() { close(begun) }}
		_ = reader.Read(t.Context(), stream, o, func(queue.Received) error { given <- struct{}{}; return nil })
	}()
	<-begun
	for range 5 {
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n"}))
		<-given
	}
	must(t, nc.FlushWithContext(within(t)))
	if l, r := looks(), reads(); l < 1 || r < 5 || l > 1+r/10 {
		t.Errorf("it looks %d times while it reads %d times", l, r)
	}
}
