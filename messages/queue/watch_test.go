package queue_test

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestAWatchTellsWhatWasThereEarlier(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	fleets := queue.Fleets(c)
	revision, err := fleets.Create(t.Context(), "f", messages.FleetRecord{Fleet: "f", Epoch: 1})
	must(t, err)
	seen := make(chan queue.Entry[messages.FleetRecord], 10)
	go func() { _ = fleets.Watch(t.Context(), func(e queue.Entry[messages.FleetRecord]) { seen <- e }, nil) }()
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
	_, err = fleets.Update(t.Context(), "f", messages.FleetRecord{Fleet: "f", Epoch: 2}, revision)
	must(t, err)
	next(2, false)
	s.Restart(t)
	next(2, true)
}
