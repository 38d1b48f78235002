package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// plain is a client of a server without JetStream.
func plain(t *testing.T) *Client {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
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
		settle func(*delivery) error
		want   int32
		heard  bool
	}{
		"hand-back, without an answer": {func(d *delivery) error { return d.back(time.Second) }, 1, false},
		"verdict, answered late":       {func(d *delivery) error { return d.done() }, 2, true},
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
			d := &delivery{c: c, reply: "ack", deadline: time.Now().Add(time.Minute)}
			d.ctx, d.end = context.WithCancelCause(t.Context())
			err = test.settle(d)
			if heard := err == nil; heard != test.heard || !heard && !errors.Is(err, ErrUnavailable) {
				t.Errorf("it ended with %v", err)
			}
			if got := sent.Load(); got != test.want {
				t.Errorf("it was sent %d times, not %d", got, test.want)
			}
			if d.alive() {
				t.Error("the delivery is still held")
			}
		})
	}
}
