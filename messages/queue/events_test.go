package queue_test

import (
	"context"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestEventsAreHandledAcrossARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish, seen := make(chan struct{}, 9), make(chan struct{}), make(chan string, 9)
	go func() {
		_ = c.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeNodeFailed},
			func(_ context.Context, r queue.Received) error {
				started <- struct{}{}
				<-finish
				seen <- r.Payload.(*messages.NodeFailed).Node
				return nil
			})
	}()
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1"}))
	<-started
	s.Stop()
	close(finish) // the acknowledgement meets no server
	s.Resume(t)
	back(t, c)
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n2"}))
	got := map[string]bool{}
	for !got["n1"] || !got["n2"] {
		got[<-seen] = true
	}
}

// A newer program has consumers for its versions; that of this one's is none of theirs.
func TestConsumersOfDifferentTypesAreApart(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	types := []messages.Type{messages.TypeNodeFailed, messages.TypeTrialFinished}
	got := make(chan string, 4)
	take := func(_ context.Context, r queue.Received) error {
		got <- string(r.Payload.MessageType())
		return nil
	}
	go func() { _ = c.ConsumeEvents(t.Context(), "controllers", types, take) }()
	publish := func(p messages.Payload) {
		must(t, c.Publish(within(t), "", p))
		if have := <-got; have != string(p.MessageType()) {
			t.Errorf("%s was given where %s was published", have, p.MessageType())
		}
	}
	failed := &messages.NodeFailed{Fleet: "f", Node: "n", Rollout: "r", Image: image(1), Step: "pull"}
	trial := &messages.TrialFinished{Fleet: "f", Node: "n", Rollout: "r", Image: image(1)}
	publish(failed)
	publish(trial)
	// An older program, which reads the one type alone, connects.
	older, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.ConsumeEvents(older, "controllers", types[:1], take) }()
	publish(trial)
	publish(failed)
	stop()
	<-done
	publish(trial)
}
