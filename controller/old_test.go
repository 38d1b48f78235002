package controller

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestAnActingControllerForgetsOldRollouts(t *testing.T) {
	q := queuetest.Start(t).Connect(t)
	const age = 200 * time.Millisecond
	if err := q.Declare(t.Context(), queue.Layout{EventAge: age}); err != nil {
		t.Fatal(err)
	}
	old, newest := waitingRollout(nil), waitingRollout(nil)
	old.State, newest.State = messages.RolloutDone, messages.RolloutDone
	newest.ID, newest.Ready.Build, newest.Ready.Order = "default-b2", "b2", 2
	for _, r := range []messages.RolloutRecord{old, newest} {
		if _, err := queue.Rollouts(q).Create(t.Context(), r.ID, r); err != nil {
			t.Fatal(err)
		}
	}
	last, err := queue.Rollouts(q).Get(t.Context(), newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for now := last.Created; now.Sub(last.Created) <= age; <-look.C {
		if now, err = q.Clock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(Config{
		Queue: q, Name: "c1", LeaseTTL: time.Second, Interval: time.Hour,
		Backend: func(fleet string) fence.Backend { return natskv.New(q.JetStream(), q.Space().FenceBucket(), fleet) },
	})
	if err != nil {
		t.Fatal(err)
	}
	changed, done := c.views.subscribe("")
	defer done()
	go func() { _ = c.Run(t.Context()) }()
	late := time.After(20 * time.Second)
	for seen := false; ; {
		_, _, revisions := c.views.snapshot("default", &decide.Clocks{})
		seen = seen || revisions[newest.ID] > 0
		if seen && len(revisions) == 1 {
			break
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("it still has %v", revisions)
		}
	}
	list, err := queue.Rollouts(q).List(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != newest.ID {
		t.Errorf("left are %v, error %v", list, err)
	}
}
