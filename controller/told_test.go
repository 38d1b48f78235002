package controller

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
)

// toldOf is a fleet with rollouts, as metrics are told of it.
type toldOf struct {
	*views
	revision uint64
}

func newTold() *toldOf {
	v := &toldOf{views: newViews(nil)}
	v.seeFleet(queue.Entry[messages.FleetRecord]{Key: "default", Value: messages.FleetRecord{Fleet: "default"}, Revision: 1})
	return v
}

// write has a rollout be on record so, from now on.
func (v *toldOf) write(order uint64, r messages.RolloutRecord) {
	v.revision++
	r.ID, r.Fleet, r.Ready.Order, r.Updated = fmt.Sprint("r", order), "default", order, time.Now()
	v.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: r, Revision: v.revision})
}

func (v *toldOf) moving(t *testing.T) metrics.RolloutNow {
	t.Helper()
	all := v.fleetsNow()
	if len(all) != 1 || all[0].Moving == nil {
		t.Fatalf("told of %+v", all)
	}
	return *all[0].Moving
}

// TestARolloutIsStuckWhateverItsReasonSays: a node that says every minute anew how many bytes it lacks comes no further.
func TestARolloutIsStuckWhateverItsReasonSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newTold()
		stuck := messages.RolloutRecord{State: messages.RolloutPreloading, Members: []string{"n1", "n2"}}
		for minute := range 40 {
			stuck.Failed = map[string]string{"n1": fmt.Sprintf("%d bytes are free", 1000+minute)}
			v.write(1, stuck)
			v.moving(t)
			<-time.After(time.Minute)
		}
		if now := v.moving(t); now.Unchanged < 39*time.Minute {
			t.Errorf("after 40 minutes without progress it is told to have moved %s ago", now.Unchanged)
		}
		stuck.Admitted = 2
		v.write(1, stuck)
		if now := v.moving(t); now.Unchanged != 0 {
			t.Errorf("as more nodes are admitted it is told to have moved %s ago", now.Unchanged)
		}
		<-time.After(time.Minute)
		stuck.Admitted = 1 // and one that comes and goes is none further
		v.write(1, stuck)
		v.moving(t)
		stuck.Admitted = 2
		v.write(1, stuck)
		if now := v.moving(t); now.Unchanged != time.Minute {
			t.Errorf("it is told to have moved %s ago", now.Unchanged)
		}
		stuck.State = messages.RolloutFlipped
		v.write(1, stuck)
		if now := v.moving(t); now.Unchanged != 0 {
			t.Errorf("flipped just now it is told to have moved %s ago", now.Unchanged)
		}
	})
}

// TestARolloutThatWaitsHidesNone that moves, or is stuck.
func TestARolloutThatWaitsHidesNone(t *testing.T) {
	v := newTold()
	v.write(1, messages.RolloutRecord{State: messages.RolloutPreloading})
	v.write(2, messages.RolloutRecord{State: messages.RolloutWaiting})
	if now := v.moving(t); now.State != string(messages.RolloutPreloading) {
		t.Errorf("told of the one that is %s", now.State)
	}
	v.write(1, messages.RolloutRecord{State: messages.RolloutDone})
	if now := v.moving(t); now.State != string(messages.RolloutWaiting) {
		t.Errorf("told of the one that is %s", now.State)
	}
	v.write(3, messages.RolloutRecord{State: messages.RolloutPreloading})
	v.write(4, messages.RolloutRecord{State: messages.RolloutHeld})
	if now := v.moving(t); now.State != string(messages.RolloutHeld) {
		t.Errorf("told of the one that is %s", now.State)
	}
}
