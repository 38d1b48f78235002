package controller

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestARolloutThatCanNotBeReadStopsNothing has a live rollout whose record was read once, and becomes
// unreadable or goes: what is decided reaches the fence config all the same.
func TestARolloutThatCanNotBeReadStopsNothing(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, q *queue.Client, id string, revision uint64){
		"unreadable": func(t *testing.T, q *queue.Client, id string, _ uint64) {
			_, err := queuetest.JetStream(t, q).Publish(queuetest.Within(t), "$KV.fenceline-rollouts."+id, []byte("{"))
			queuetest.Must(t, err)
		},
		"gone": func(t *testing.T, q *queue.Client, id string, revision uint64) {
			queuetest.Must(t, store.Rollouts(q).Delete(t.Context(), id, revision))
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := queuetest.Start(t).Client(t)
			c := blind(t, q)
			backend := natskv.New(q, "default")
			r := waitingRollout(nil)
			r.State, r.Members, r.FlippedAt = messages.RolloutSoaking, []string{"n1"}, time.Now().UTC()
			revision, err := store.Rollouts(q).Create(t.Context(), r.ID, r)
			queuetest.Must(t, err)
			c.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: r, Revision: revision})
			record := messages.FleetRecord{Fleet: "default", Epoch: 1, Decision: "d1", Current: decide.ImageOf(&r), Soaking: r.ID}
			at, err := store.Fleets(q).Create(t.Context(), "default", record)
			queuetest.Must(t, err)
			c.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: "default", Value: record, Revision: at})
			damage(t, q, r.ID, revision)
			f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger}
			queuetest.Must(t, f.pass(t.Context(), true))
			var now fence.Setting
			now, err = backend.Get(t.Context())
			if err != nil || now.Value != string(r.Ready.Image) {
				t.Errorf("the fence config has %q, error %v", now.Value, err)
			}
			if s, _, _ := c.views.snapshot("default", f.clocks); len(s.Rollouts) != 0 || s.Record.Soaking != "" {
				t.Errorf("the controller sees %+v, of the fleet %+v", s.Rollouts, s.Record)
			}
		})
	}
}
