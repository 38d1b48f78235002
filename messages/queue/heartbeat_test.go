package queue_test

import (
	"errors"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// TestHeartbeatsOfTwo has a node learn, with a node's rights, that another writes under its name.
func TestHeartbeatsOfTwo(t *testing.T) {
	s, as := guarded(t)
	must(t, as("controller").Declare(within(t), queue.Layout{}))
	operator := as("operator")
	key := messages.NodeKey("production", "n1")
	clients := map[string]*queue.Client{}
	beat := func(who string) error {
		if clients[who] == nil {
			clients[who] = as("n1")
		}
		status := messages.NodeStatus{Fleet: "production", Node: "n1", Instance: who}
		err := clients[who].Heartbeat(within(t), &status)
		if e, readErr := queue.Nodes(operator).Get(within(t), key); readErr != nil || e.Value.Instance != who {
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
			e, err := queue.Nodes(operator).Get(within(t), key)
			must(t, err)
			must(t, queue.Nodes(operator).Delete(within(t), key, e.Revision))
		}, true},
		{"after a restart of the server, which forgets them", "b", func() {
			s.Restart(t)
			eventually(t, "the controller declares the bucket again", func() bool {
				return operator.Declare(within(t), queue.Layout{}) == nil
			})
			eventually(t, "the node is connected again", func() bool { return clients["b"].Ready(within(t)) == nil })
		}, false},
	} {
		if step.before != nil {
			step.before()
		}
		if err := beat(step.who); (err != nil) != step.twin || err != nil && !errors.Is(err, queue.ErrTwin) {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}
