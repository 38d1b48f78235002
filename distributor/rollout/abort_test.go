package rollout

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor/fence"
	"github.com/fenceline/fenceline/distributor/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestNoFlipFollowsAnAbortThatTheRolloutsWatchHasNotTold(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c, err := New(Config{
		Queue: q, Name: "c1", LeaseTTL: time.Second,
		Backend: func(fleet string) fence.Backend { return natskv.New(q.JetStream(), q.Space().FenceBucket(), fleet) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := fleetOf(0, func(p *messages.Policy) { p.Canaries, p.Trial.Disabled = 0, true }).rollouts[0]
	revision, err := queue.Rollouts(q).Create(t.Context(), r.ID, r)
	if err != nil {
		t.Fatal(err)
	}
	// The controller sees what it is shown here, as its watches do not run.
	c.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: r, Revision: revision})
	c.views.seeMember(queue.Entry[messages.Member]{Key: messages.NodeKey("default", "n1")})
	c.views.seeBeat(heartbeat(1, false, 2))
	f := &fleetActor{Controller: c, fleet: "default", clocks: &clocks{}, log: c.Logger}
	if err := f.found(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.advance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := Abort(t.Context(), q, r.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	e, err := queue.Fleets(q).Get(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	c.views.seeFleet(e)
	c.views.seeBeat(heartbeat(2, false, 1)) // now a quorum has it
	if err := f.advance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if e, err = queue.Fleets(q).Get(t.Context(), "default"); err != nil || !e.Value.Current.IsZero() {
		t.Errorf("the record has %+v, error %v", e.Value.Current, err)
	}
	if o, err := queue.Rollouts(q).Get(t.Context(), r.ID); err != nil || o.Value.State != messages.RolloutAborted {
		t.Errorf("the rollout is %s: %s, error %v", o.Value.State, o.Value.Why, err)
	}
}
