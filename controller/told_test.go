package controller

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
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

// lines has what metrics tell.
func lines(t *testing.T, all *metrics.Registry, want ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	all.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range want {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("%s is not told:\n%s", line, w.Body)
		}
	}
}

// TestAFleetIsToldInNumbers: who has the current image, has applied it, lacks it and is silent; the hold; whether its fence config is broken.
func TestAFleetIsToldInNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := metrics.New("v1")
		c, v := all.Controller(), newViews(nil)
		v.metrics = c
		defer c.Acts()(false)
		c.Fleets(v.fleetsNow)
		v.seeFleet(queue.Entry[messages.FleetRecord]{Key: "default", Revision: 1, Value: messages.FleetRecord{
			Fleet: "default", Epoch: 3, Current: messages.FleetImage{Image: testImage(1)}, Hold: &messages.Hold{By: "ann", At: time.Now().Add(-time.Hour)},
			Applied: messages.Applied{Epoch: 2, Error: "no such store"},
		}})
		for n, change := range map[string]func(*messages.NodeStatus){
			"has": func(*messages.NodeStatus) {}, "applied": func(s *messages.NodeStatus) {
				s.Applied = &messages.NodeApplied{Image: testImage(1), State: messages.ApplyDone}
			},
			"lacks": func(s *messages.NodeStatus) { s.Images = nil }, "other": func(s *messages.NodeStatus) { s.Images[0].Image = testImage(2) }, "silent": nil,
		} {
			key := messages.NodeKey("default", n)
			v.seeMember(queue.Entry[messages.Member]{Key: key, Revision: 1, Value: messages.Member{Fleet: "default", Node: n}})
			if change != nil {
				e := beatOfN1(1, false, 1)
				e.Key, e.Value.Node = key, n
				change(&e.Value)
				v.seeBeat(e)
			}
		}
		lines(t, all, `fenceline_fleet_members{fleet="default"} 5`, `fenceline_fleet_present_nodes{fleet="default"} 2`, `fenceline_fleet_applied_nodes{fleet="default"} 1`,
			`fenceline_fleet_behind_nodes{fleet="default"} 2`, `fenceline_fleet_silent_nodes{fleet="default"} 1`, `fenceline_fleet_epoch{fleet="default"} 3`,
			`fenceline_fleet_held{fleet="default"} 1`, `fenceline_fleet_hold_age_seconds{fleet="default"} 3600`, `fenceline_fleet_fence_broken{fleet="default"} 1`)
	})
}

// TestDecisionsAreCountedByWhoTookThem: flips, rollbacks, holds, once each, and how long a push took to its flip.
func TestDecisionsAreCountedByWhoTookThem(t *testing.T) {
	all := metrics.New("v1")
	c, v := all.Controller(), newViews(nil)
	v.metrics = c
	defer c.Acts()(false)
	revision, began := uint64(0), time.Now()
	is := func(epoch uint64, hold *messages.Hold) {
		revision++
		e := queue.Entry[messages.FleetRecord]{Key: "default", Revision: revision, Value: messages.FleetRecord{Fleet: "default", Epoch: epoch, Hold: hold}}
		v.seeFleet(e)
		v.seeFleet(e) // the same again, after an interruption of the watch
	}
	is(4, &messages.Hold{By: "ann", At: began, Epoch: 4}) // as it is found
	is(4, nil)
	is(5, nil)
	is(6, &messages.Hold{By: "fenceline", At: began.Add(time.Second), Epoch: 6})
	is(7, &messages.Hold{By: "fenceline", At: began.Add(time.Second), Epoch: 6}) // promoted, and held as before
	is(8, &messages.Hold{By: "ann", At: began.Add(2 * time.Second), Epoch: 8})
	is(8, &messages.Hold{By: "ann", At: began.Add(3 * time.Second)})
	moved := messages.RolloutRecord{ID: "r", Fleet: "default"}
	moved.Ready.Received = began
	v.seeRollout(queue.Entry[messages.RolloutRecord]{Key: "r", Revision: 1, Value: moved})
	moved.FlippedAt = began.Add(40 * time.Second)
	v.seeRollout(queue.Entry[messages.RolloutRecord]{Key: "r", Revision: 2, Value: moved})
	moved.State = messages.RolloutDone
	v.seeRollout(queue.Entry[messages.RolloutRecord]{Key: "r", Revision: 3, Value: moved})
	lines(t, all, `fenceline_flips_total{fleet="default"} 2`, `fenceline_rollbacks_total{by="soak",fleet="default"} 1`, `fenceline_rollbacks_total{by="person",fleet="default"} 1`,
		`fenceline_holds_total{by="fenceline",fleet="default"} 1`, `fenceline_holds_total{by="person",fleet="default"} 2`, `fenceline_push_to_flip_seconds_sum{fleet="default"} 40`,
		`fenceline_push_to_flip_seconds_count{fleet="default"} 1`)
}
