package controller

import (
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

func testImage(order uint64) messages.Image {
	return messages.Image(fmt.Sprintf("r.example.com/app@sha256:%064x", order))
}

// waitingRollout is the record of a rollout that was just opened.
func waitingRollout(change func(*messages.Policy)) messages.RolloutRecord {
	p := messages.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	return messages.RolloutRecord{
		ID: "default-b1", Fleet: "default", State: messages.RolloutWaiting, Policy: p,
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "b1", Pipeline: "app", Order: 1}, Image: testImage(1)},
	}
}
