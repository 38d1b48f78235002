package store_test

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestOrdersGoOnInARequestsStreamMadeAnew(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for n := range 5 {
		submit(t, c, request("base", n+1))
	}
	_, err := store.Fleets(c).Create(within(t), "default", messages.FleetRecord{Fleet: "default", Highest: 5})
	must(t, err)
	must(t, queuetest.JetStream(t, c).DeleteStream(within(t), "fenceline-requests"))
	must(t, store.Declare(within(t), c, store.Layout{}))
	if a := submit(t, c, request("base", 7)); a.Order <= 5 {
		t.Errorf("the next request has order %d; the fleet has flipped order 5 already and refuses it for ever", a.Order)
	}
}
