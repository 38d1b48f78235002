package queue_test

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestWhatAStreamHasBetweenTwoSequences, of which some are deleted, some gone at its start and some not there yet.
func TestWhatAStreamHasBetweenTwoSequences(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	for range 6 {
		if err := c.Publish(t.Context(), "", &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	reports := c.Space().ReportsStream()
	stream, err := queuetest.JetStream(t, c).Stream(t.Context(), reports)
	if err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint64{1, 3, 4} {
		if err := stream.DeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		from, to uint64
		has      bool
	}{{1, 2, false}, {1, 3, true}, {2, 3, true}, {3, 5, false}, {3, 6, true}, {4, 4, false}, {6, 7, true}, {7, 9, false}, {1, 99, true}} {
		has, info, err := c.Has(t.Context(), reports, test.from, test.to)
		if err != nil || has != test.has || info.First != 2 || info.Last != 6 {
			t.Errorf("from %d to before %d it has %v of %+v, %v", test.from, test.to, has, info, err)
		}
	}
}
