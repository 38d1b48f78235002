package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// plain is a client of a server without JetStream, or with what options add.
func plain(t *testing.T, add ...func(*server.Options)) *Client {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	for _, f := range add {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.WaitForShutdown)
	t.Cleanup(s.Shutdown)
	c, err := Connect(t.Context(), Options{InProcess: s, Source: "/fenceline/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAHandBackIsSentOnceAndAVerdictUntilItIsHeard(t *testing.T) {
	for name, test := range map[string]struct {
		settle func(*Delivery) error
		want   int32
		heard  bool
	}{
		"hand-back, without an answer": {func(d *Delivery) error { return d.Return(time.Second) }, 1, false},
		"verdict, answered late":       {func(d *Delivery) error { return d.Done() }, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := plain(t)
			var sent atomic.Int32
			_, err := c.nc.Subscribe("ack", func(m *nats.Msg) {
				if sent.Add(1) > 1 {
					_ = m.Respond(nil)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			d := &Delivery{c: c, reply: "ack", deadline: time.Now().Add(time.Minute)}
			d.ctx, d.end = context.WithCancelCause(t.Context())
			err = test.settle(d)
			if heard := err == nil; heard != test.heard || !heard && !errors.Is(err, ErrUnavailable) {
				t.Errorf("it ended with %v", err)
			}
			if got := sent.Load(); got != test.want {
				t.Errorf("it was sent %d times, not %d", got, test.want)
			}
			if d.Alive() {
				t.Error("the delivery is still held")
			}
		})
	}
}

// TestABusySlotHandsBack has a slot, which takes messages of two types, get one while it has another:
// somebody who is free has it at once, and not only after the AckWait.
func TestABusySlotHandsBack(t *testing.T) {
	c := plain(t, func(o *server.Options) { o.JetStream, o.StoreDir = true, t.TempDir() })
	if err := c.Declare(t.Context(), []Stream{{Name: c.space.ReportsStream(), Subjects: c.space.ReportSubjects()}}); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	took := make(chan string, 9)
	take := func(name string, handle func(*Delivery)) {
		always := func(context.Context) error { return nil }
		s := NewSlot(always, always)
		for _, of := range []messages.Type{messages.TypeNodeFailed, messages.TypeTrialFinished} {
			running.Go(func() {
				_ = c.Consume(ctx, Shared{c.space.ReportsStream(), "test", of, time.Minute}, s, func(d *Delivery) {
					took <- fmt.Sprintf("%s: %s", name, messages.TypeOf(d.Message).Label())
					handle(d)
				})
			})
		}
	}
	publish := func(p messages.Payload) {
		t.Helper()
		if err := c.Publish(t.Context(), "", p); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-took:
			if got != want {
				t.Fatalf("%s, where %s was to be", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("there was no %s", want)
		}
	}
	take("busy", func(*Delivery) { <-ctx.Done() })
	publish(&messages.NodeFailed{Fleet: "f", Node: "n"})
	expect("busy: node-failed-v1")
	publish(&messages.TrialFinished{Fleet: "f", Node: "n", Rollout: "r"})
	take("free", func(d *Delivery) { _ = d.Done() })
	expect("free: trial-finished-v1")
	if len(took) > 0 {
		t.Errorf("%s, too", <-took)
	}
}
