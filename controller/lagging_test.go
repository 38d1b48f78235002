package controller

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// blind is a controller that sees what it is shown, as its watches do not run.
func blind(t *testing.T, q *queue.Client) *Controller {
	t.Helper()
	c, err := New(Config{
		Queue: q, Name: "c1", LeaseTTL: time.Second,
		Backend: new(backends.Backends).Factory(q),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNoFlipFollowsAnAbortThatTheRolloutsWatchHasNotTold(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c := blind(t, q)
	r := waitingRollout(func(p *messages.Policy) { p.Canaries, p.Trial.Disabled = 0, true })
	revision, err := store.Rollouts(q).Create(t.Context(), r.ID, r)
	if err != nil {
		t.Fatal(err)
	}
	c.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: r, Revision: revision})
	c.views.seeMember(queue.Entry[messages.Member]{Key: messages.NodeKey("default", "n1")})
	c.views.seeBeat(beatOfN1(1, false, 2))
	f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger}
	if err := f.makeRecord(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.advance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := people.Abort(t.Context(), q, r.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	e, err := store.Fleets(q).Get(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	c.views.seeFleet(e)
	c.views.seeBeat(beatOfN1(2, false, 1)) // now a quorum has it
	if err := f.advance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if e, err = store.Fleets(q).Get(t.Context(), "default"); err != nil || !e.Value.Current.IsZero() {
		t.Errorf("the record has %+v, error %v", e.Value.Current, err)
	}
	if o, err := store.Rollouts(q).Get(t.Context(), r.ID); err != nil || o.Value.State != messages.RolloutAborted {
		t.Errorf("the rollout is %s: %s, error %v", o.Value.State, o.Value.Why, err)
	}
}

// The rollout that a person rolls back is not flipped again by a controller that hears of that
// before it hears of the fleet.
func TestNoFlipFollowsARollbackThatTheFleetsWatchHasNotTold(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c := blind(t, q)
	r := waitingRollout(nil)
	r.State, r.FlippedAt = messages.RolloutDone, time.Now().UTC()
	if _, err := store.Rollouts(q).Create(t.Context(), r.ID, r); err != nil {
		t.Fatal(err)
	}
	record := messages.FleetRecord{
		Fleet: "default", Epoch: 2, Decision: "d1", Current: decide.ImageOf(&r),
		Previous: messages.FleetImage{Image: testImage(9), Order: 9, Build: "b9", Rollout: "default-b9"},
	}
	revision, err := store.Fleets(q).Create(t.Context(), "default", record)
	if err != nil {
		t.Fatal(err)
	}
	c.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: "default", Value: record, Revision: revision})
	if _, err := people.Rollback(t.Context(), q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	marked, err := store.Rollouts(q).Get(t.Context(), r.ID)
	if err != nil || marked.Value.State != messages.RolloutRolledBack {
		t.Fatalf("the rollout is %s, error %v", marked.Value.State, err)
	}
	c.views.seeRollout(marked)
	f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger}
	if err := f.advance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if now, err := store.Rollouts(q).Get(t.Context(), r.ID); err != nil || now.Revision != marked.Revision {
		t.Errorf("it became %s, error %v", now.Value.State, err)
	}
	if s, _, _ := c.views.snapshot("default", f.clocks); s.Record.Current.Order != 9 {
		t.Errorf("the controller still sees %+v", s.Record.Current)
	}
}

// The fence config is not set at once for a decision that is over, which the fleet's watch has not told.
func TestNothingIsSetAtOnceForADecisionThatIsOver(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c := blind(t, q)
	record := messages.FleetRecord{Fleet: "default", Epoch: 2, Decision: "d2", Current: messages.FleetImage{Image: testImage(2), Order: 2, Build: "b2", Rollout: "default-b2"}}
	revision, err := store.Fleets(q).Create(t.Context(), "default", record)
	queuetest.Must(t, err)
	c.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: "default", Value: record, Revision: revision})
	f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger}
	place, err := f.place(&record)
	queuetest.Must(t, err)
	now, err := place.Get(t.Context())
	queuetest.Must(t, err)
	f.seen = &seenSetting{record.Fence, now}
	later := record
	later.Epoch, later.Decision, later.Current.Image, later.Current.Build = 3, "d3", testImage(1), "b1"
	_, err = store.Fleets(q).Update(t.Context(), "default", later, revision)
	queuetest.Must(t, err)
	tried := f.driveAtOnce(t.Context())
	if now, err = place.Get(t.Context()); err != nil || !tried || now.Value != later.FenceValue() {
		t.Errorf("it tried: %v; the fence config is %q, %v", tried, now.Value, err)
	}
}

// What a question asked for is not done again when it comes again, as while controllers change.
func TestAQuestionThatComesAgainSetsNothingAgain(t *testing.T) {
	q := queuetest.Start(t).Client(t)
	c := blind(t, q)
	f := &fleetActor{Controller: c, fleet: "default", clocks: &decide.Clocks{}, log: c.Logger}
	queuetest.Must(t, f.makeRecord(t.Context()))
	e, err := store.Fleets(q).Get(t.Context(), "default")
	queuetest.Must(t, err)
	place, err := f.place(&e.Value)
	queuetest.Must(t, err)
	asked := question{messages.FenceAsked{Ask: "abcdefgh", Fleet: "default", Set: &messages.FenceSet{Value: "exampleco/first", By: "ann"}}, time.Now()}
	f.answer(t.Context(), asked)
	now, err := place.Get(t.Context())
	if err != nil || now.Value != "exampleco/first" {
		t.Fatalf("the fence config is %q, %v", now.Value, err)
	}
	_, err = place.Set(t.Context(), "exampleco/second", now.Revision)
	queuetest.Must(t, err)
	f.answer(t.Context(), asked)
	if now, err := place.Get(t.Context()); err != nil || now.Value != "exampleco/second" {
		t.Errorf("the fence config is %q, %v", now.Value, err)
	}
}
