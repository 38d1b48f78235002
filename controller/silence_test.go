package controller

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestSilenceIsNoted in the records of members, and taken back when they are heard again.
func TestSilenceIsNoted(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c := blind(t, q)
	for _, node := range []string{"n1", "n2"} {
		key := messages.NodeKey("default", node)
		m := messages.Member{Fleet: "default", Node: node}
		if _, err := store.Members(q).Create(t.Context(), key, m); err != nil {
			t.Fatal(err)
		}
		c.views.seeMember(queue.Entry[messages.Member]{Key: key, Value: m, Revision: 1})
	}
	silent := func(node string) bool {
		t.Helper()
		e, err := store.Members(q).Get(t.Context(), messages.NodeKey("default", node))
		if err != nil {
			t.Fatal(err)
		}
		return e.Value.Silent
	}
	f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger, began: time.Now()}
	note := func() {
		t.Helper()
		if err := f.noteSilence(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	note()
	if silent("n1") || silent("n2") {
		t.Error("what began just now has heard nobody for long")
	}
	f.began = time.Now().Add(-time.Hour)
	c.views.seeBeat(beatOfN1(1, false, 2))
	note()
	if silent("n1") || !silent("n2") {
		t.Errorf("n1, which is heard, is silent: %v; n2, which is not: %v", silent("n1"), silent("n2"))
	}
	c.views.mu.Lock()
	c.views.heard[messages.NodeKey("default", "n1")] = time.Now().Add(-messages.SilentAfter)
	c.views.mu.Unlock()
	note()
	if !silent("n1") {
		t.Error("n1 is silent, and not noted")
	}
	c.views.seeBeat(beatOfN1(2, false, 3))
	note()
	if silent("n1") {
		t.Error("n1 is heard again, and noted as silent")
	}
	if err := store.Members(q).Delete(t.Context(), "default.n2", mustRevision(t, q, "default.n2")); err != nil {
		t.Fatal(err)
	}
	note() // what was retired meanwhile is no failure
}

func mustRevision(t *testing.T, q *queue.Client, key string) uint64 {
	t.Helper()
	e, err := store.Members(q).Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return e.Revision
}
