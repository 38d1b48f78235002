package queue_test

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestOrdersGoOnInARequestsStreamMadeAnew(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for n := range 5 {
		submit(t, c, request("base", n))
	}
	_, err := queue.Fleets(c).Create(within(t), "default", messages.FleetRecord{Fleet: "default", Highest: 5})
	must(t, err)
	must(t, c.JetStream().DeleteStream(within(t), "fenceline-requests"))
	must(t, c.Declare(within(t), queue.Layout{}))
	if a := submit(t, c, request("base", 7)); a.Order <= 5 {
		t.Errorf("the next request has order %d; the fleet has flipped order 5 already and refuses it for ever", a.Order)
	}
}
