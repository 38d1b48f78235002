package builds_test

import (
	"context"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go"
)

// misplaced publishes a message on a subject of another one.
func misplaced(t *testing.T, c *queue.Client, subject string, p messages.Payload) {
	t.Helper()
	m, err := messages.Encode(c.Envelope("x", ""), p)
	must(t, err)
	_, err = queuetest.JetStream(t, c).PublishMsg(within(t), &nats.Msg{Subject: subject, Header: nats.Header(m.Headers), Data: m.Body})
	must(t, err)
}

func TestWhatACredentialMayNotTellIsNotBelievedOnASubjectThatItHas(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	own := c.Space().Subject(&messages.NodeFailed{Fleet: "f", Node: "n1"})
	forged := ready(request("base", 1))
	forged.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	misplaced(t, c, own, forged)
	misplaced(t, c, own, &messages.NodeFailed{Fleet: "f", Node: "n2"})
	misplaced(t, c, c.Space().RequestSubject("other"), request("base", 1))
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1", Reason: "true"}))
	take := func(r queue.Received) error {
		if m, ok := r.Payload.(*messages.NodeFailed); !ok || m.Reason != "true" {
			t.Errorf("%s is believed to be %T", r.Subject, r.Payload)
		}
		return nil
	}
	must(t, c.Read(within(t), c.Space().ReportsStream(), queue.ReadOptions{}, take))
	go func() {
		_ = c.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeNodeFailed},
			func(_ context.Context, r queue.Received) error { return take(r) })
	}()
	consume(t, c, work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		t.Errorf("%s was built", j.Request.Build)
		return ready(j.Request), nil
	}))
	eventually(t, "all three are dead letters", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		return err == nil && len(letters) == 3
	})
}
