package distributor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// A pull's progress has a heartbeat sent at most every two seconds, and only while it changes.
func TestProgressIsInHeartbeats(t *testing.T) {
	var moves chan distributor.Progress
	run(t, func(w *world) {
		moves = make(chan distributor.Progress) // in the bubble of time
		w.engine.Moves = moves
		w.set(messages.FleetRecord{Current: fleetImage("3")})
	}, func(w *world) {
		begun := len(w.queue.sent())
		for n := range int64(100) { // 10 s
			after(100 * time.Millisecond)
			moves <- distributor.Progress{Bytes: n * 100, Total: 100_000, Layer: "abc"}
		}
		synctest.Wait()
		sent := w.queue.sent()[begun:]
		if len(sent) < 4 || len(sent) > 7 { // one may be the regular one
			t.Errorf("%d heartbeats in 10 s of progress", len(sent))
		}
		for i := 1; i < len(sent); i++ {
			if gap := sent[i].Sub(sent[i-1]); gap > 2500*time.Millisecond {
				t.Errorf("%s without a heartbeat while it changes", gap)
			}
		}
		if f := w.last().Fetching; f == nil || f.Total != 100_000 || f.Layer != "abc" || f.Rate < 900 || f.Rate > 1100 || f.Bytes < 7000 {
			t.Errorf("the last heartbeat says %+v", f)
		}
		after(2500 * time.Millisecond)
		still := len(w.queue.sent())
		if f := w.last().Fetching; f == nil || f.Bytes != 9900 {
			t.Errorf("the last change is not told: %+v", f)
		}
		after(9 * time.Second)
		if more := len(w.queue.sent()) - still; more > 1 {
			t.Errorf("%d heartbeats while nothing moves", more)
		}
		close(moves)
		after(0)
		if f := w.last().Fetching; f != nil {
			t.Errorf("after the pull: %+v", f)
		}
		w.has("3")
	})
}
