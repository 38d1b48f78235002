package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go/jetstream"
)

// opened writes a rollout of a fleet, named after the build that it is of.
func opened(t *testing.T, c *queue.Client, fleet, build string, order uint64, state messages.RolloutState, after string) string {
	t.Helper()
	r := messages.RolloutRecord{
		ID: messages.RolloutID(fleet, build), Fleet: fleet, State: state, After: after,
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: build, Pipeline: "base", Order: order}, Image: buildstest.Image(int(order)), Tag: "t"},
	}
	_, err := store.Rollouts(c).Create(queuetest.Within(t), r.ID, r)
	queuetest.Must(t, err)
	return r.ID
}

func TestOldRolloutsAreDroppedWhenNothingAsksForThem(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	server.Limit(t, c.Space().EventsStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxAge = time.Second })
	began := time.Now()
	const done = messages.RolloutDone
	var stay []string
	of := func(build string, order uint64) messages.FleetImage {
		id := opened(t, c, "f", build, order, done, "")
		stay = append(stay, id)
		return messages.FleetImage{Image: buildstest.Image(int(order)), Build: build, Order: order, Rollout: id}
	}
	record := messages.FleetRecord{
		Fleet: "f", Current: of("current", 9), Previous: of("previous", 8), Keep: []messages.FleetImage{of("kept", 7)},
		Preload: &messages.Preload{FleetImage: of("preloaded", 6)}, Bases: &messages.BasePreload{Build: of("based", 5).Build},
		Rollout: of("moving", 4).Rollout, Soaking: of("soaking", 3).Rollout,
	}
	_, err := store.Fleets(c).Create(queuetest.Within(t), "f", record)
	queuetest.Must(t, err)
	stay = append(stay,
		opened(t, c, "f", "held", 10, messages.RolloutHeld, ""), opened(t, c, "f", "newest", 11, messages.RolloutFailed, ""),
		opened(t, c, "f", "before", 2, done, ""), opened(t, c, "g", "before", 2, messages.RolloutWaiting, "f"),
	)
	for _, state := range []messages.RolloutState{done, messages.RolloutFailed, messages.RolloutAborted, messages.RolloutSuperseded, messages.RolloutRolledBack} {
		opened(t, c, "f", string(state), 1, state, "")
	}
	again := opened(t, c, "f", "again", 1, done, "")
	unmarked := opened(t, c, "f", "unmarked", 1, done, "")
	build := messages.BuildRecord{BuildRef: messages.BuildRef{Build: "unmarked"}, State: messages.BuildStateSucceeded, Outcome: &messages.Message{Body: []byte("{}")}}
	_, err = store.Builds(c).Create(queuetest.Within(t), "unmarked", build)
	queuetest.Must(t, err)

	left := func(repeat bool, more ...string) {
		t.Helper()
		want := append(slices.Clone(stay), more...)
		slices.Sort(want)
		var have []string
		queuetest.Eventually(t, "the rollouts that are left are those that are asked for", func() bool {
			if repeat { // its event is sent again, as a dead letter's is
				m := &messages.ImageReady{BuildRef: messages.BuildRef{Build: "again", Pipeline: "base", Order: 1}, Image: buildstest.Image(1), Tag: "t"}
				queuetest.Must(t, c.Publish(queuetest.Within(t), "", m))
			}
			dropped, err := dropOld(queuetest.Within(t), c)
			queuetest.Must(t, err)
			list, err := store.Rollouts(c).List(queuetest.Within(t))
			queuetest.Must(t, err)
			have = nil
			for _, e := range list {
				have = append(have, e.Key)
			}
			slices.Sort(have)
			if len(dropped) > 0 && time.Since(began) < time.Second {
				t.Fatalf("%v were dropped before their events had gone", dropped)
			}
			for _, id := range dropped {
				if slices.Contains(have, id) || slices.Contains(want, id) {
					t.Fatalf("%s was dropped, left are %v", id, have)
				}
			}
			return slices.Equal(have, want)
		})
	}
	left(true, again, unmarked)
	left(false, unmarked)
	_, err = store.Builds(c).Modify(queuetest.Within(t), "unmarked", func(r *messages.BuildRecord) error { r.Announced = true; return nil })
	queuetest.Must(t, err)
	left(false)
	s, err := queuetest.JetStream(t, c).Stream(queuetest.Within(t), "KV_fenceline-rollouts")
	queuetest.Must(t, err)
	if n := s.CachedInfo().State.Msgs; n != uint64(len(stay)) {
		t.Errorf("%d messages are left of %d records", n, len(stay))
	}
}

func TestAControllerMayDropOldRollouts(t *testing.T) {
	_, as := queuetest.Guarded(t)
	c := as("controller")
	queuetest.Must(t, store.Declare(queuetest.Within(t), c, store.Layout{}))
	queuetest.Limit(t, as("admin"), c.Space().EventsStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxAge = 200 * time.Millisecond })
	old := opened(t, c, "f", "old", 1, messages.RolloutDone, "")
	opened(t, c, "f", "newest", 2, messages.RolloutDone, "")
	queuetest.Eventually(t, "the old rollout is dropped", func() bool {
		dropped, err := dropOld(queuetest.Within(t), c)
		queuetest.Must(t, err)
		return slices.Equal(dropped, []string{old})
	})
}

func TestAnActingControllerForgetsOldRollouts(t *testing.T) {
	server := queuetest.Start(t)
	q := server.Client(t)
	const age = 200 * time.Millisecond
	server.Limit(t, q.Space().EventsStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxAge = age })
	old, newest := waitingRollout(nil), waitingRollout(nil)
	old.State, newest.State = messages.RolloutDone, messages.RolloutDone
	newest.ID, newest.Ready.Build, newest.Ready.Order = "default-b2", "b2", 2
	for _, r := range []messages.RolloutRecord{old, newest} {
		if _, err := store.Rollouts(q).Create(t.Context(), r.ID, r); err != nil {
			t.Fatal(err)
		}
	}
	last, err := store.Rollouts(q).Get(t.Context(), newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for now := last.Created; now.Sub(last.Created) <= age; <-look.C {
		if now, err = store.NewClock(q).Now(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(Config{
		Queue: q, Name: "c1", LeaseTTL: time.Second, Interval: time.Hour,
		Backend: new(backends.Backends).Factory(q),
	})
	if err != nil {
		t.Fatal(err)
	}
	changed, done := c.views.subscribe("")
	defer done()
	go func() { _ = c.Run(t.Context()) }()
	late := time.After(time.Minute)
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
	list, err := store.Rollouts(q).List(t.Context())
	if err != nil || len(list) != 1 || list[0].Key != newest.ID {
		t.Errorf("left are %v, error %v", list, err)
	}
}
