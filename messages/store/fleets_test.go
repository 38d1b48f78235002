package store_test

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestAWatchOfAFleetWhoseBucketStartsOver has the bucket made anew twice under a node's watch, which goes on to be
// given what is decided. What was announced of the bucket before comes late, and stops nothing.
func TestAWatchOfAFleetWhoseBucketStartsOver(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	given := make(chan messages.FleetChanged, 99)
	next := func(name string, revision uint64, decision string) {
		t.Helper()
		select {
		case f := <-given:
			if f.Revision != revision || f.Record.Decision != decision {
				t.Fatalf("%s: revision %d of decision %q is given", name, f.Revision, f.Record.Decision)
			}
		case <-within(t).Done():
			t.Fatalf("%s: nothing is given", name)
		}
	}
	announce := func(revision uint64, decision string) {
		t.Helper()
		must(t, store.AnnounceFleet(c, messages.FleetChanged{Revision: revision, Record: messages.FleetRecord{Fleet: "f", Decision: decision}}))
	}
	write := func(decision string) (revision uint64) {
		t.Helper()
		e, err := store.Fleets(c).Modify(within(t), "f", func(r *messages.FleetRecord) error {
			r.Fleet, r.Decision = "f", decision
			return nil
		})
		must(t, err)
		return e.Revision
	}
	for _, decision := range []string{"one", "two", "three"} {
		write(decision)
	}
	node := s.Connect(t)
	go func() { _ = store.WatchFleet(t.Context(), node, "f", func(f messages.FleetChanged) { given <- f }) }()
	next("at the start", 3, "three")
	announce(3, "three")
	announce(2, "two")
	announce(write("four"), "four")
	next("what came late is passed over", 4, "four")

	remake(t, c, "KV_fenceline-fleets")
	write("five")
	announce(2, "six") // as one that was overtaken
	next("a lower revision that was announced is read", 1, "five")
	announce(9, "two") // of the bucket before, by who was slow
	next("nobody can tell", 9, "two")
	announce(write("six"), "six")
	next("what is decided then", 2, "six")
	announce(write("seven"), "seven")
	next("and then", 3, "seven")

	remake(t, c, "KV_fenceline-fleets")
	write("eight")
	write("nine")
	announce(write("ten"), "ten")
	next("another record of the same revision", 3, "ten")
}
