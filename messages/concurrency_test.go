package messages

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestConcurrencyIsInItsWireForm where it isn't what a pipeline has by default.
func TestConcurrencyIsInItsWireForm(t *testing.T) {
	for want, p := range map[string]Pipeline{
		`,"concurrency":"queue"}`:      {Concurrency: ConcurrencyQueue},
		`,"cancel_running":true}`:      {CancelRunning: true},
		`"timeout":"0s","attempts":0}`: {},
	} {
		if got, err := json.Marshal(p); err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s, %v; want its end to be %s", got, err, want)
		}
	}
	want := `{"build":"b","pipeline":"p","commit":"c","head":"d","followed_by":"e","running":true,"overtaken":2}`
	s := BuildSuperseded{BuildRef: BuildRef{Build: "b", Pipeline: "p"}, Commit: "c", Head: "d", FollowedBy: "e", Running: true, Overtaken: 2}
	if got, err := json.Marshal(s); err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

// TestWhichRequestsYieldToANewerPush, and which wait for their turn.
func TestWhichRequestsYieldToANewerPush(t *testing.T) {
	const branch = "refs/heads/main"
	for name, c := range map[string]struct {
		r              BuildRequested
		yields, inTurn bool
	}{
		"a push":                        {BuildRequested{Ref: branch, Cause: CausePush}, true, false},
		"a push of a queue":             {BuildRequested{Ref: branch, Cause: CausePush, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}}, false, true},
		"a head found, of a queue":      {BuildRequested{Ref: branch, Cause: CausePush, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}, Reason: &Reason{Kind: ReasonPoll}}, true, true},
		"a base changed, of a queue":    {BuildRequested{Ref: branch, Cause: CausePush, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}, Reason: &Reason{Kind: ReasonBase}}, true, true},
		"its time came, of a queue":     {BuildRequested{Ref: branch, Cause: CausePush, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}, Reason: &Reason{Kind: ReasonSchedule}}, true, true},
		"a push by a newer rule":        {BuildRequested{Ref: branch, Cause: CausePush, Pipeline: Pipeline{Concurrency: "sometimes"}}, true, false},
		"a tag":                         {BuildRequested{Tag: "v1", Cause: CausePerson}, true, false},
		"a tag of a queue":              {BuildRequested{Tag: "v1", Cause: CausePerson, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}}, true, false},
		"a person's, of a branch":       {BuildRequested{Ref: branch, Cause: CausePerson}, false, false},
		"a person's, of a commit":       {BuildRequested{Cause: CausePerson}, false, false},
		"a person's, of a queue":        {BuildRequested{Ref: branch, Cause: CausePerson, Pipeline: Pipeline{Concurrency: ConcurrencyQueue}}, false, false},
		"a retry of a push of a branch": {BuildRequested{Ref: branch, Cause: CauseRetry}, false, false},
	} {
		if c.r.Yields() != c.yields || c.r.InTurn() != c.inTurn {
			t.Errorf("%s: yields %v, in turn %v", name, c.r.Yields(), c.r.InTurn())
		}
	}
}
