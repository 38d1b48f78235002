package decide

import (
	"slices"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestWhatTheRecordKeeps(t *testing.T) {
	record := func(current, previous uint64, keep ...uint64) messages.FleetRecord {
		r := messages.FleetRecord{Current: testFleetImage(current), Previous: testFleetImage(previous)}
		for _, k := range keep {
			r.Keep = append(r.Keep, testFleetImage(k))
		}
		return r
	}
	forwardTo := func(order uint64) func(*messages.FleetRecord) {
		return func(r *messages.FleetRecord) { Forward(r, testFleetImage(order), 2) }
	}
	backTo := func(order uint64) func(*messages.FleetRecord) {
		return func(r *messages.FleetRecord) { Back(r, testFleetImage(order), messages.Hold{By: "ada"}) }
	}
	for _, c := range []struct {
		name string
		from messages.FleetRecord
		do   func(*messages.FleetRecord)
		want messages.FleetRecord
	}{
		{"a first image", record(0, 0), forwardTo(1), record(1, 0)},
		{"a second", record(1, 0), forwardTo(2), record(2, 1)},
		{"only so many are kept", record(4, 3, 2, 1), forwardTo(5), record(5, 4, 3, 2)},
		{"back to the previous", record(3, 2, 1), backTo(2), record(2, 1, 3)},
		{"back twice goes further back", record(2, 1, 3), backTo(1), record(1, 0, 3, 2)},
		{"back to a kept one", record(4, 3, 2, 1), backTo(2), record(2, 1, 4, 3)},
		{"forward to one that was rolled back", record(2, 1, 3), forwardTo(3), record(3, 2, 1)},
		{"the same content again", record(2, 1), forwardTo(2), record(2, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.from
			c.do(&r)
			same := func(a, b messages.FleetImage) bool { return a == b }
			if r.Current != c.want.Current || r.Previous != c.want.Previous || !slices.EqualFunc(r.Keep, c.want.Keep, same) {
				t.Errorf("the record is %+v, previous %+v, keep %+v", r.Current, r.Previous, r.Keep)
			}
			if r.Epoch != c.from.Epoch+1 {
				t.Error("the epoch did not rise")
			}
		})
	}
}
