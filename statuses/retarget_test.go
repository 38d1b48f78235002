package statuses

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
	"github.com/rs/zerolog"
)

// TestStatusesGoWhereTheyAreLedTo while the worker runs: elsewhere, nowhere, and back.
func TestStatusesGoWhereTheyAreLedTo(t *testing.T) {
	_, as := installation(t)
	one, two := newStandIn(t), newStandIn(t)
	w, err := New(Config{
		Queue: as("statuses"), Name: "w", Logger: zerolog.New(zerolog.NewTestWriter(t)), LeaseTTL: 10 * time.Second, Pause: 10 * time.Millisecond, Pace: 50 * time.Millisecond,
	})
	must(t, err)
	soon(t, as("admin"))
	running(t, w.Run)
	lead := func(targets ...target.Target) {
		w.Retarget(targets)
		eventually(t, "the targets are in force", func() bool { return !w.turns.Pending() })
	}
	producer := as("producer")
	push := func(n int) string {
		buildstest.Submit(t, producer, buildstest.Request("base", n))
		return buildstest.Commit(n)
	}
	lead(giteaTarget(t, one))
	one.last(t, push(1), "pending queued")
	lead(giteaTarget(t, two))
	two.last(t, push(2), "pending queued")
	lead()
	nowhere := push(3)
	settled(t, as("admin"))
	lead(giteaTarget(t, one))
	one.last(t, push(4), "pending queued")
	if told := append(one.texts(nowhere), two.texts(nowhere)...); len(told) > 0 {
		t.Errorf("somebody is told %q", told)
	}
}

// soon has a request come again soon that was on its way to a turn that ended.
func soon(t *testing.T, admin *queue.Client) {
	t.Helper()
	js, stream := queuetest.JetStream(t, admin), admin.Space().RequestsStream()
	c, err := js.Consumer(within(t), stream, queue.Durable(store.Statuses, messages.TypeBuildRequested))
	must(t, err)
	config := c.CachedInfo().Config
	config.AckWait = 2 * time.Second
	_, err = js.UpdateConsumer(within(t), stream, config)
	must(t, err)
}
