package form

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	sampleImage = messages.Image("registry.example.com/exampleco/base@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	// sampleText is of what others write: with what JSON, and markups, have a meaning for.
	sampleText = "it says \"no\" \\ <!channel> @all `x` *y*\nand ends"
)

// samplePayloads has a message of each type that sinks are sent.
func samplePayloads() []messages.Payload {
	ref := messages.BuildRef{Pipeline: "base", Build: "base-abcdefgh", Order: 7}
	commit, rollout := strings.Repeat("0123456789", 4), "production-base-abcdefgh"
	policy := []messages.FleetTarget{{Fleet: "production", Policy: messages.DefaultPolicy()}}
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	return []messages.Payload{
		&messages.BuildStarted{BuildRef: ref, Attempt: 1, Worker: "b1", Commit: commit, Reason: &messages.Reason{Kind: messages.ReasonPush}},
		&messages.BasePinned{BuildRef: ref, Attempt: 1, Bases: []messages.PinnedBase{{Source: "docker.io/library/debian:12", Image: sampleImage}}, Fleets: policy},
		&messages.BuildFailed{BuildRef: ref, Attempt: 1, Commit: commit, Failure: messages.Failure{Class: messages.FailureUser, Reason: sampleText, Place: "Dockerfile:3"}},
		&messages.BuildSuperseded{BuildRef: ref, Commit: commit, Head: strings.Repeat("f", 40)},
		&messages.BuildCancelled{BuildRef: ref, By: "ann"},
		&messages.ImageReady{BuildRef: ref, Image: sampleImage, Tag: "0123456789ab", Commit: commit, HooksDir: messages.DefaultHooksDir, Fleets: policy, Received: at},
		&messages.RolloutChanged{Fleet: "production", Rollout: rollout, Build: ref.Build, Order: 7, Image: sampleImage, State: messages.RolloutRolledBack, Why: sampleText, Epoch: 3, By: "ann", Present: 2, Members: 3, To: messages.FleetImage{Image: sampleImage}},
		&messages.NodeFailed{Fleet: "production", Node: "dea-1", Rollout: rollout, Image: sampleImage, Step: "pull", Reason: sampleText},
		&messages.TrialFinished{Fleet: "production", Node: "dea-1", Rollout: rollout, Image: sampleImage, TrialResult: messages.TrialResult{Reason: sampleText}},
		&messages.DeadLetter{Stream: "fenceline-requests", Sequence: 4, Subject: "fenceline.build.requested.v1.base", Reason: sampleText, At: at},
		&messages.DecisionMade{At: at, Action: "rollback", Fleet: "production", By: "ann", Via: "console", From: "192.0.2.7", Outcome: messages.OutcomeRefused, Why: sampleText},
		&messages.CallsAudited{Calls: []messages.AuditedCall{{At: at, What: "webhook", Path: "/hooks/github", Outcome: messages.OutcomeAccepted, Status: 202}}},
		&messages.RefusalsCounted{Since: at, Until: at, Refusals: []messages.Refusals{{What: "webhook", Path: "/hooks/github", Status: 401, Count: 4}}},
	}
}

// Samples are an event of each type, with and without what may be missing.
func Samples() []*Event {
	var out []*Event
	for _, site := range []Site{{}, {Console: "https://console.example.com", Fleets: map[string][]string{"base": {"production", "staging"}}}} {
		for _, p := range samplePayloads() {
			out = append(out, site.sample(p))
		}
	}
	return out
}

// Sample is an event of a type, such as build.failed, as it is sent to try a sink; nil where there is no such type.
func (s *Site) Sample(typ string) *Event {
	for _, p := range samplePayloads() {
		if name(p.MessageType()) == typ {
			e := s.sample(p)
			e.Text = oneLine("test: " + e.Text)
			return e
		}
	}
	return nil
}

func (s *Site) sample(p messages.Payload) *Event {
	body, err := json.Marshal(p)
	if err != nil {
		panic("a sample always marshals: " + err.Error())
	}
	id := messages.NewID()
	e, _ := s.Of(messages.Envelope{ID: "test-" + id, Source: "/fenceline/test", Subject: messages.About(p), Time: time.Now().UTC()}, p, body)
	return e
}
