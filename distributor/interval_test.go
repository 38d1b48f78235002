package distributor_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

func TestAnIntervalThatHeartbeatsDoNotOutliveIsRefused(t *testing.T) {
	for _, c := range []struct {
		interval, ttl time.Duration
		fine          bool
	}{
		{10 * time.Second, 30 * time.Second, true}, {15 * time.Second, 30 * time.Second, true}, {time.Hour, 0, true},
		{15*time.Second + 1, 30 * time.Second, false}, {30 * time.Second, 30 * time.Second, false}, {time.Minute, 30 * time.Second, false},
	} {
		err := distributor.CheckInterval(c.interval, c.ttl)
		var at *queue.FieldError
		if (err == nil) != c.fine || err != nil && (!errors.As(err, &at) || at.Fields[0] != distributor.FieldInterval || !strings.Contains(err.Error(), "every 15s or more often")) {
			t.Errorf("every %s, kept for %s: %v", c.interval, c.ttl, err)
		}
	}
}

// TestANodeEndsWhereItsIntervalIsTooLong learns from its fleet's record how long heartbeats are kept.
func TestANodeEndsWhereItsIntervalIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		q.record = &messages.FleetChanged{Revision: 1, Record: messages.FleetRecord{Fleet: fleet, NodeTTL: messages.Duration(5 * time.Second)}}
		agent, err := distributor.New(distributor.Config{Fleet: fleet, Node: node, Queue: q, Engine: &enginetest.Fake{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "every 10s") || !strings.Contains(err.Error(), "kept for 5s") {
			t.Errorf("it ends with %v", err)
		}
	})
}

// TestANodeGoesOnWhereItsIntervalBecomesTooLong: a node that does its part is not stopped by what an operator
// changes elsewhere.
func TestANodeGoesOnWhereItsIntervalBecomesTooLong(t *testing.T) {
	run(t, func(w *world) { w.set(messages.FleetRecord{NodeTTL: messages.Duration(time.Minute)}) }, func(w *world) {
		w.announce(messages.FleetRecord{NodeTTL: messages.Duration(time.Second), Current: fleetImage("1")})
		w.has("1")
		after(distributor.DefaultInterval)
		if got := w.last().Revision; got != 2 {
			t.Errorf("it acts on revision %d", got)
		}
	})
}
