package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// TestWhatLedToABuildIsShown of one that is queued, of its dead letter, and of one that a person asked for again.
func TestWhatLedToABuildIsShown(t *testing.T) {
	c := installation(t)
	r := buildstest.Request("base", 1)
	r.Reason = &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: "72d3162e-cc78"}
	a, err := builds.New(c).Request(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := done(t, "builds"); !strings.Contains(got, "push github") || strings.Contains(got, "72d3162e") {
		t.Errorf("builds says\n%s", got)
	}
	if got := done(t, "builds", "show", a.Build); !strings.Contains(got, "push github 72d3162e-cc78") {
		t.Errorf("builds show says\n%s", got)
	}
	var row overview.Build
	if err := json.Unmarshal([]byte(done(t, "builds", "show", a.Build, "-o", "json")), &row); err != nil || row.Reason == nil || *row.Reason != *r.Reason {
		t.Errorf("%+v, %v; want the reason %+v", row, err, r.Reason)
	}
	if got := done(t, "status"); !strings.Contains(got, "push github") {
		t.Errorf("status says\n%s", got)
	}
	s, err := c.Last(t.Context(), c.Space().RequestsStream(), c.Space().AnyRequest("base"))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, c, &messages.DeadLetter{Stream: c.Space().RequestsStream(), Sequence: s.Sequence, Subject: s.Subject, Reason: "no registry", Headers: s.Message.Headers, Body: s.Message.Body, At: noon()})
	if got := done(t, "dead-letters", "show", "fenceline-requests-1"); !strings.Contains(got, "push github 72d3162e-cc78") || !strings.Contains(got, a.Build) {
		t.Errorf("dead-letters show says\n%s", got)
	}
	if s := fenceline(t, "builds", "show", "base-zzzzzzzz"); s.status != ExitFailed || !strings.Contains(s.err, "base-zzzzzzzz") {
		t.Errorf("of a build that there is not: status %d, %s", s.status, s.err)
	}
}

func TestAuditListsCalls(t *testing.T) {
	c := installation(t)
	publish(t, c, &messages.CallsAudited{Lost: 3, Calls: []messages.AuditedCall{
		{At: noon(), What: "webhook", Path: "/hooks/github", By: "ann", From: "192.0.2.7", Delivery: "72d3162e", Outcome: messages.OutcomeAccepted, Status: 202, Builds: []string{"base-aaaaaaaa"}, More: 4},
	}})
	publish(t, c, &messages.RefusalsCounted{Since: noon(), Until: noon(), Refusals: []messages.Refusals{
		{What: "webhook", Path: "/hooks/github", From: "198.51.100.9", Status: 401, Why: "the signature does not match", Count: 12},
	}})
	got := done(t, "audit")
	for _, want := range []string{
		"base-aaaaaaaa and 4 more; delivery 72d3162e", "ann", "192.0.2.7", "accepted", "a stranger", "198.51.100.9", "12 times; the signature does not match", "3 calls more are not known",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if got := done(t, "audit", "--known"); strings.Contains(got, "a stranger") || !strings.Contains(got, "ann") {
		t.Errorf("of the known it says\n%s", got)
	}
	var out lostCalls
	if err := json.Unmarshal([]byte(done(t, "audit", "-o", "json")), &out); err != nil || len(out.Calls) != 2 || out.Lost != 3 || out.Calls[0].Count+out.Calls[1].Count != 13 {
		t.Errorf("%+v, %v", out, err)
	}
	if s := fenceline(t, "audit", "--since", "0s"); s.status != ExitUsage {
		t.Errorf("of no time: status %d, %s", s.status, s.err)
	}
}
