package statuses

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// TestStatusesSayWhatLedToABuild where that is not the push of its commit.
func TestStatusesSayWhatLedToABuild(t *testing.T) {
	for want, r := range map[string]messages.Reason{
		"building":                   {Kind: messages.ReasonPush, Detail: "github", Link: "72d3162e"},
		"building: schedule nightly": {Kind: messages.ReasonSchedule, Detail: "nightly", Link: "2026-01-02T03:04:05Z"},
		"building: person token ci":  {Kind: messages.ReasonPerson, Detail: "token ci"},
		"building: base alpine:3":    {Kind: messages.ReasonBase, Detail: "alpine:3", Link: "alpine@sha256:00"},
	} {
		if got, _ := ofBuild(&messages.BuildRecord{State: messages.BuildStateRunning, Reason: &r}); got.Text != want {
			t.Errorf("%+v: %q, want %q", r, got.Text, want)
		}
	}
}
