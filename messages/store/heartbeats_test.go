package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestHeartbeatsOfTwo has a node learn, with a node's rights, that another writes under its name.
func TestHeartbeatsOfTwo(t *testing.T) {
	s, as := guarded(t)
	must(t, store.Declare(within(t), as("controller"), store.Layout{}))
	operator := as("operator")
	key := messages.NodeKey("production", "n1")
	clients := map[string]*store.Node{}
	beat := func(who string) error {
		if clients[who] == nil {
			clients[who] = store.NewNode(as("n1"))
		}
		status := messages.NodeStatus{Fleet: "production", Node: "n1", Instance: who}
		err := clients[who].Heartbeat(within(t), &status)
		if e, readErr := store.Nodes(operator).Get(within(t), key); readErr != nil || e.Value.Instance != who {
			t.Errorf("the heartbeat of %s is not stored: %+v, %v", who, e, readErr)
		}
		return err
	}
	for _, step := range []struct {
		name, who string
		before    func()
		twin      bool
	}{
		{"the first", "a", nil, false},
		{"the next", "a", nil, false},
		{"the first of one that was started again", "b", nil, false},
		{"the next of it", "b", nil, false},
		{"one of the other, which lives on", "a", nil, true},
		{"one after that", "b", nil, true},
		{"alone again", "b", nil, false},
		{"after a person has ended the last", "b", func() {
			e, err := store.Nodes(operator).Get(within(t), key)
			must(t, err)
			must(t, store.Nodes(operator).Delete(within(t), key, e.Revision))
		}, true},
		{"after a restart of the server, which forgets them", "b", func() {
			s.Restart(t)
			eventually(t, "the controller declares the bucket again", func() bool {
				return store.Declare(within(t), operator, store.Layout{}) == nil
			})
			eventually(t, "the node is connected again", func() bool { return clients["b"].Ready(within(t)) == nil })
		}, false},
	} {
		if step.before != nil {
			step.before()
		}
		if err := beat(step.who); (err != nil) != step.twin || err != nil && !errors.Is(err, store.ErrTwin) {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestANodeGoesOnAfterARestartThatTookTheHeartbeats(t *testing.T) {
	s := queuetest.Start(t)
	controller := s.Client(t)
	p := s.Proxy(t)
	node := store.NewNode(s.Connect(t, through(p)))
	beat := func() error {
		return node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "f", Node: "n1", Beat: 1})
	}
	fleetRecord(t, controller, "f")
	must(t, beat())
	records, seen := make(chan messages.FleetChanged, 9), make(chan bool, 9)
	go func() { _ = node.WatchFleet(t.Context(), "f", func(f messages.FleetChanged) { records <- f }) }()
	go func() {
		_ = store.Nodes(controller).Watch(t.Context(), func(e queue.Entry[messages.NodeStatus]) { seen <- !e.Deleted }, nil)
	}()
	was := <-records
	if !<-seen {
		t.Error("the heartbeat is not seen")
	}
	p.Hold() // the node comes back after the record was changed, and hears no announcement
	s.Restart(t)
	back(t, controller)
	if _, err := store.Nodes(controller).Get(within(t), "f.n1"); !errors.Is(err, queue.ErrUndeclared) {
		t.Errorf("with its bucket gone: %v", err)
	}
	e, err := store.Fleets(controller).Modify(within(t), "f", func(r *messages.FleetRecord) error {
		r.Decision = messages.NewID()
		return nil
	})
	must(t, err)
	p.Release()
	if f := <-records; f.Revision != e.Revision || f.Record.Decision == was.Record.Decision {
		t.Errorf("the node is given %+v", f)
	}
	if err := beat(); !errors.Is(err, queue.ErrUndeclared) || !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a heartbeat into no bucket: %v", err)
	}
	must(t, store.Declare(within(t), controller, store.Layout{}))
	must(t, beat())
	for !<-seen { // that it went is seen where the watch looks before it beats again
	}
}

func TestAnExpiredHeartbeatIsSeenToGo(t *testing.T) {
	c := queuetest.Start(t).Connect(t)
	must(t, store.Declare(within(t), c, store.Layout{NodeTTL: time.Second}))
	came, went := make(chan struct{}, 1), make(chan struct{}, 1)
	note := func(heard chan struct{}) {
		select {
		case heard <- struct{}{}:
		default: // it is noted
		}
	}
	go func() {
		_ = store.Nodes(c).Watch(t.Context(), func(e queue.Entry[messages.NodeStatus]) {
			if e.Deleted {
				note(went)
			} else {
				note(came)
			}
		}, nil)
	}()
	eventually(t, "a heartbeat is seen", func() bool { // one may end before the watch begins
		must(t, store.NewNode(c).Heartbeat(within(t), &messages.NodeStatus{Fleet: "f", Node: "n1", Beat: 1}))
		return len(came) > 0
	})
	select {
	case <-went:
	case <-time.After(queuetest.TestTime):
		t.Error("nothing was heard of its end")
	}
}

func TestTheNodesBucketComesBackAfterARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Restart(t)
	eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	must(t, store.Declare(within(t), c, store.Layout{}))
	must(t, store.NewNode(c).Heartbeat(within(t), &messages.NodeStatus{Fleet: "f", Node: "n1", Beat: 1}))
}
