package rollout

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// heartbeat is one of node n1 with an image.
func heartbeat(revision uint64, earlier bool, image uint64) queue.Entry[messages.NodeStatus] {
	return queue.Entry[messages.NodeStatus]{
		Key: messages.NodeKey("default", "n1"), Revision: revision, Earlier: earlier,
		Value: messages.NodeStatus{
			Fleet: "default", Node: "n1", Revision: 1, Beat: revision, Interval: messages.Duration(time.Hour),
			Images: []messages.PresentImage{{Image: testImage(image)}}, Work: &messages.NodeWork{State: messages.WorkDone},
		},
	}
}

// numbered gives a heartbeat another revision, as a bucket does that was lost and made anew.
func numbered(revision uint64, e queue.Entry[messages.NodeStatus]) queue.Entry[messages.NodeStatus] {
	e.Revision = revision
	return e
}

func restarted(e queue.Entry[messages.NodeStatus]) queue.Entry[messages.NodeStatus] {
	e.Value.Instance = "again"
	return e
}

func TestWhatAHeartbeatIsWorth(t *testing.T) {
	v := newViews(nil)
	changed, done := v.subscribe("default")
	defer done()
	for _, c := range []struct {
		name  string
		beat  queue.Entry[messages.NodeStatus]
		fresh bool
		wakes bool
	}{
		{"one from before this controller has no known age", heartbeat(1, true, 1), false, true},
		{"one that comes now is fresh", heartbeat(2, false, 1), true, true},
		{"one that says the same wakes nobody", heartbeat(3, false, 1), true, false},
		{"one that names another image does", heartbeat(4, false, 2), true, true},
		{"given again after an interruption it is no older", heartbeat(4, true, 2), true, false},
		{"one that was sent in an interruption has no known age", heartbeat(5, true, 2), false, true},
		{"until the next", heartbeat(6, false, 2), true, true},
		{"one of a new bucket may have the revision of the one before", numbered(6, heartbeat(7, false, 3)), true, true},
		{"a distributor that starts again counts anew", restarted(heartbeat(7, false, 2)), true, true},
	} {
		v.seeBeat(c.beat)
		woken := false
		select {
		case <-changed:
			woken = true
		default:
		}
		s, _, _ := v.snapshot("default", &clocks{})
		if got := s.nodes["n1"]; got.fresh != c.fresh || woken != c.wakes || got.status.Beat != c.beat.Value.Beat || got.status.Instance != c.beat.Value.Instance {
			t.Errorf("%s: fresh %v, wakes %v", c.name, got.fresh, woken)
		}
	}
}
