package controller_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// A build's trace goes on through its rollout: in all that the rollout publishes, by controllers and by
// people, and in what nodes are asked to fetch.
func TestARolloutCarriesOnTheTraceOfItsBuild(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	m := &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: build(1), Pipeline: "app", Order: 1}, Image: image(1), Tag: "t",
		Fleets: []messages.FleetTarget{target("default", func(p *messages.Policy) { p.Approval = true })},
	}
	buildstest.Announce(t, i.q, "00-"+trace+"-00f067aa0ba902b7-01", m)
	id := messages.RolloutID("default", m.Build)
	i.state(t, id, messages.RolloutApproval)
	i.fleet(t, "default", "to preload on the trace", func(r messages.FleetRecord) bool {
		return r.Preload != nil && strings.Contains(r.Preload.Traceparent, trace)
	})
	if _, err := people.Approve(t.Context(), i.q, id, "ada"); err != nil {
		t.Fatal(err)
	}
	i.state(t, id, messages.RolloutDone)
	told := map[messages.RolloutState]bool{}
	queuetest.Eventually(t, "its states are told", func() bool { // each after it is written
		queuetest.Must(t, i.q.Read(t.Context(), i.q.Space().EventsStream(), queue.ReadOptions{}, func(r queue.Received) error {
			if e, ok := r.Payload.(*messages.RolloutChanged); ok {
				if told[e.State] = true; !strings.Contains(r.Envelope.Traceparent, trace) {
					t.Errorf("%s (%s) is told with traceparent %q", e.State, e.Why, r.Envelope.Traceparent)
				}
			}
			return nil
		}))
		return told[messages.RolloutFlipped] && told[messages.RolloutApproval] && told[messages.RolloutDone]
	})
}
