package controller_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// opened writes a rollout of a fleet, named after the build that it is of.
func opened(t *testing.T, c *queue.Client, fleet, build string, order uint64, state messages.RolloutState, after string) string {
	t.Helper()
	r := messages.RolloutRecord{
		ID: messages.RolloutID(fleet, build), Fleet: fleet, State: state, After: after,
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: build, Pipeline: "base", Order: order}, Image: image(int(order)), Tag: "t"},
	}
	_, err := store.Rollouts(c).Create(within(t), r.ID, r)
	must(t, err)
	return r.ID
}

func TestOldRolloutsAreDroppedWhenNothingAsksForThem(t *testing.T) {
	c := queuetest.Start(t).Connect(t)
	must(t, store.Declare(within(t), c, store.Layout{EventAge: time.Second}))
	began := time.Now()
	const done = messages.RolloutDone
	var stay []string
	of := func(build string, order uint64) messages.FleetImage {
		id := opened(t, c, "f", build, order, done, "")
		stay = append(stay, id)
		return messages.FleetImage{Image: image(int(order)), Build: build, Order: order, Rollout: id}
	}
	record := messages.FleetRecord{
		Fleet: "f", Current: of("current", 9), Previous: of("previous", 8), Keep: []messages.FleetImage{of("kept", 7)},
		Preload: &messages.Preload{FleetImage: of("preloaded", 6)}, Bases: &messages.BasePreload{Build: of("based", 5).Build},
		Rollout: of("moving", 4).Rollout, Soaking: of("soaking", 3).Rollout,
	}
	_, err := store.Fleets(c).Create(within(t), "f", record)
	must(t, err)
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
	_, err = store.Builds(c).Create(within(t), "unmarked", build)
	must(t, err)

	left := func(repeat bool, more ...string) {
		t.Helper()
		want := append(slices.Clone(stay), more...)
		slices.Sort(want)
		var have []string
		eventually(t, "the rollouts that are left are those that are asked for", func() bool {
			if repeat { // its event is sent again, as a dead letter's is
				m := &messages.ImageReady{BuildRef: messages.BuildRef{Build: "again", Pipeline: "base", Order: 1}, Image: image(1), Tag: "t"}
				must(t, c.Publish(within(t), "", m))
			}
			dropped, err := c.DropRollouts(within(t))
			must(t, err)
			list, err := store.Rollouts(c).List(within(t))
			must(t, err)
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
	_, err = store.Builds(c).Modify(within(t), "unmarked", func(r *messages.BuildRecord) error { r.Announced = true; return nil })
	must(t, err)
	left(false)
	s, err := queuetest.JetStream(t, c).Stream(within(t), "KV_fenceline-rollouts")
	must(t, err)
	if n := s.CachedInfo().State.Msgs; n != uint64(len(stay)) {
		t.Errorf("%d messages are left of %d records", n, len(stay))
	}
}

func TestAControllerMayDropOldRollouts(t *testing.T) {
	_, as := guarded(t)
	c := as("controller")
	must(t, store.Declare(within(t), c, store.Layout{EventAge: 200 * time.Millisecond}))
	old := opened(t, c, "f", "old", 1, messages.RolloutDone, "")
	opened(t, c, "f", "newest", 2, messages.RolloutDone, "")
	eventually(t, "the old rollout is dropped", func() bool {
		dropped, err := c.DropRollouts(within(t))
		must(t, err)
		return slices.Equal(dropped, []string{old})
	})
}
