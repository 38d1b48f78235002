package queue_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestAWatchTellsWhatWasThereEarlier(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	fleets := store.Fleets(c)
	revision, err := fleets.Create(t.Context(), "f", messages.FleetRecord{Fleet: "f", Epoch: 1})
	must(t, err)
	seen := make(chan queue.Entry[messages.FleetRecord], 10)
	caughtUp := make(chan struct{}, 10)
	go func() {
		_ = fleets.Watch(t.Context(), func(e queue.Entry[messages.FleetRecord]) { seen <- e }, func() { caughtUp <- struct{}{} })
	}()
	next := func(epoch uint64, earlier bool) {
		t.Helper()
		select {
		case e := <-seen:
			if e.Value.Epoch != epoch || e.Earlier != earlier {
				t.Fatalf("epoch %d was given, earlier %v", e.Value.Epoch, e.Earlier)
			}
		case <-within(t).Done():
			t.Fatalf("epoch %d was not given", epoch)
		}
	}
	next(1, true)
	<-caughtUp
	_, err = fleets.Update(t.Context(), "f", messages.FleetRecord{Fleet: "f", Epoch: 2}, revision)
	must(t, err)
	next(2, false)
	s.Restart(t)
	next(2, true)
}

// TestAListHasRecordsThatChangeMeanwhile lists while one record after another is changed as fast
// as it goes: none is missing.
func TestAListHasRecordsThatChangeMeanwhile(t *testing.T) {
	rollouts := store.Rollouts(queuetest.Start(t).Client(t))
	ctx, cancel := context.WithCancel(t.Context())
	keys := []string{"a", "b", "c"}
	revisions := make([]uint64, len(keys))
	for i, key := range keys {
		var err error
		revisions[i], err = rollouts.Create(t.Context(), key, messages.RolloutRecord{ID: key})
		must(t, err)
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; ctx.Err() == nil; i = (i + 1) % len(keys) {
			if next, err := rollouts.Update(ctx, keys[i], messages.RolloutRecord{ID: keys[i]}, revisions[i]); err == nil {
				revisions[i] = next
			}
		}
	})
	defer writers.Wait()
	defer cancel()
	for range 100 {
		all, err := rollouts.List(t.Context())
		must(t, err)
		seen := map[string]bool{}
		for _, e := range all {
			seen[e.Key] = true
		}
		if len(seen) != 3 {
			t.Fatalf("the list has %v", seen)
		}
	}
}

// TestWhatCanBeReadAgainIsPassedOverNoMore has a watch meet a broken record that is mended, and one that goes
// with its bucket.
func TestWhatCanBeReadAgainIsPassedOverNoMore(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	seen := make(chan uint64, 9)
	go func() {
		_ = store.Fleets(c).Watch(t.Context(), func(e queue.Entry[messages.FleetRecord]) { seen <- e.Revision }, nil)
	}()
	_, err := store.Fleets(c).Create(within(t), "f", messages.FleetRecord{Fleet: "f"})
	must(t, err)
	<-seen
	_, err = queuetest.JetStream(t, c).Publish(within(t), "$KV.fenceline-fleets.f", []byte("{"))
	must(t, err)
	passed := func() []queue.Broken {
		return slices.DeleteFunc(c.PassedOver(), func(b queue.Broken) bool { return b.Key != "f" })
	}
	queuetest.Eventually(t, "it is passed over", func() bool { return len(passed()) == 1 })
	revision := passed()[0].Revision
	good, err := json.Marshal(messages.FleetRecord{Fleet: "f"})
	must(t, err)
	_, err = queuetest.JetStream(t, c).Publish(within(t), "$KV.fenceline-fleets.f", good)
	must(t, err)
	queuetest.Eventually(t, "what was mended is passed over no more", func() bool { return len(passed()) == 0 })
	_, err = queuetest.JetStream(t, c).Publish(within(t), "$KV.fenceline-fleets.f", []byte("{"))
	must(t, err)
	queuetest.Eventually(t, "it is passed over again", func() bool { return len(passed()) == 1 && passed()[0].Revision > revision })
	queuetest.Remake(t, c, "KV_fenceline-fleets")
	queuetest.Eventually(t, "what went with its bucket is passed over no more", func() bool { return len(passed()) == 0 })
}
