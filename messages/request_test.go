package messages

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The names that a newer version must keep are those of a stored request: what this program
// writes today is what the one before the next reads tomorrow.
func TestANewerRequestIsReadAsFarAsEveryVersionGoes(t *testing.T) {
	at := slices.IndexFunc(samples(), func(p Payload) bool {
		r, ok := p.(*BuildRequested)
		return ok && r.Commit != ""
	})
	want, _ := samples()[at].(*BuildRequested)
	stored, err := Encode(sampleEnvelope(), want)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := NewerRequest(stored); ok {
		t.Error("a request of this program's own version is taken for a newer one")
	}
	newer := func(body string) Message {
		return Message{Headers: Headers{headerType: {string(TypeBuildRequested.After(1))}}, Body: []byte(body)}
	}
	got, ok := NewerRequest(newer(strings.Replace(string(stored.Body), `{`, `{"channel":"stable",`, 1)))
	if !ok {
		t.Fatal("a newer request is not read")
	}
	if got.Build != want.Build || got.Pipeline.Name != want.Pipeline.Name || got.RequestedBy != want.RequestedBy ||
		!got.Received.Equal(want.Received) || !got.SamePush(want) || got.Order != want.Order {
		t.Errorf("of %+v\nthis was read: %+v", want, got)
	}
	for name, body := range map[string]string{
		"no JSON":           `{`,
		"no build":          `{"pipeline":{"name":"base"}}`,
		"no pipeline":       `{"build":"base-1"}`,
		"a bad pipeline":    `{"build":"base-1","pipeline":{"name":"a.b"}}`,
		"another structure": `{"build":{"id":1},"pipeline":"base"}`,
	} {
		if got, ok := NewerRequest(newer(body)); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := NewerRequest(Message{Headers: Headers{headerType: {string(TypeImageReady.After(1))}}, Body: stored.Body}); ok {
		t.Error("a newer image is taken for a request")
	}
}

func TestAnOrderIsGivenInTheVersionThatAsked(t *testing.T) {
	const next Type = "dev.fenceline.build.requested.v2"
	registry[next] = registry[TypeBuildRequested]
	defer delete(registry, next)
	r := &BuildRequested{Build: sampleBuild, Pipeline: samplePipeline(), Commit: sampleCommit, Cause: CausePush, Received: sampleTime}
	m, err := Encode(sampleEnvelope(), r)
	if err != nil {
		t.Fatal(err)
	}
	m.Headers[headerType] = []string{string(next)}
	m.Body = []byte(strings.Replace(string(m.Body), `{`, `{"channel":18446744073709551615,`, 1))
	const order = 1 << 60
	ordered, got, err := WithOrder(m, order)
	if err != nil || got.Order != order || TypeOf(ordered) != next {
		t.Fatalf("it is %+v of type %s, %v", got, TypeOf(ordered), err)
	}
	if !strings.Contains(string(ordered.Body), `"channel":18446744073709551615`) || !strings.Contains(string(ordered.Body), `"order":1152921504606846976`) {
		t.Errorf("the body is %s", ordered.Body)
	}
	if again, got, err := WithOrder(ordered, 7); err != nil || got.Order != order || string(again.Body) != string(ordered.Body) {
		t.Errorf("an order that was there became %+v, %v", got, err)
	}
	if _, _, err := WithOrder(Message{Headers: m.Headers, Body: []byte(`[]`)}, 1); err == nil {
		t.Error("what is no request is given an order")
	}
}

func TestBuildRequestedValidate(t *testing.T) {
	for name, change := range map[string]func(*BuildRequested){
		"two sources":      func(m *BuildRequested) { m.Context = "c-1" },
		"no source":        func(m *BuildRequested) { m.Commit = "" },
		"a short commit":   func(m *BuildRequested) { m.Commit = "abc" },
		"a tag":            func(m *BuildRequested) { m.Ref = "refs/tags/v1" },
		"an unknown cause": func(m *BuildRequested) { m.Cause = "whim" },
		"a bad build ID":   func(m *BuildRequested) { m.Build = "a.b" },
		"a bad context":    func(m *BuildRequested) { m.Commit, m.Context = "", "../x" },
		"a bad pipeline":   func(m *BuildRequested) { m.Pipeline.Attempts = 0 },
	} {
		m := samples()[0].(*BuildRequested)
		change(m)
		if m.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAcceptedKeepsTheOrderOfARetry(t *testing.T) {
	fresh, retry := BuildRequested{}, BuildRequested{Order: 3}
	fresh.Accepted(9)
	retry.Accepted(9)
	if fresh.Order != 9 || retry.Order != 3 {
		t.Errorf("orders are %d and %d, want 9 and 3", fresh.Order, retry.Order)
	}
}

// TestARequestOfATagIsOneThatOlderBuildersRead has the wire form of requests of pipelines that build several refs.
// Builders that know one branch alone demand a branch, refuse refs that are none, and build a commit that a person named
// whatever the branch's head is.
func TestThatNoCacheIsTakenIsInItsWireForm(t *testing.T) {
	for want, noCache := range map[string]bool{`"no_cache":true`: true, `"cause":""`: false} {
		got, err := json.Marshal(BuildRequested{NoCache: noCache})
		if err != nil || !strings.Contains(string(got), want) || strings.Contains(string(got), "no_cache") != noCache {
			t.Errorf("%s, %v: want %s", got, err, want)
		}
	}
}

func TestConditionsAreInTheirWireForm(t *testing.T) {
	ref := BuildRef{Build: sampleBuild, Pipeline: "base", Order: 1}
	for want, p := range map[string]any{
		`"only_if":"changed"`:                            &BuildRequested{OnlyIf: OnlyIfChanged},
		`"order":1,"unchanged":"nothing has changed"}`:   &BuildCancelled{BuildRef: ref, Unchanged: "nothing has changed"},
		`"reason":{"kind":"schedule","changed":"a base"`: &ImageReady{Reason: &Reason{Kind: ReasonSchedule, Changed: "a base"}},
	} {
		if got, err := json.Marshal(p); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s, %v: want %s", got, err, want)
		}
	}
	for _, p := range []any{&BuildRequested{}, &BuildCancelled{}, &ImageReady{Reason: &Reason{}}, &BuildRecord{}} {
		if got, err := json.Marshal(p); err != nil || strings.Contains(string(got), "only_if") || strings.Contains(string(got), "changed") {
			t.Errorf("%s, %v: it has a condition", got, err)
		}
	}
	r := &BuildRequested{Build: sampleBuild, Pipeline: samplePipeline(), Ref: "refs/heads/main", Commit: sampleCommit, Cause: CausePush, OnlyIf: "the moon is full"}
	if err := r.Validate(); err != nil {
		t.Errorf("a newer program's condition: %v", err)
	}
}

// TestWhatAPersonAsksForIsNotConditional has a request that is built only if something has changed serve all but people and pushes.
func TestWhatAPersonAsksForIsNotConditional(t *testing.T) {
	schedule := &Reason{Kind: ReasonSchedule, Link: "2027-06-07T03:00:00Z", Detail: "@daily UTC"}
	ask := func(c Cause, r *Reason, onlyIf string) *BuildRequested {
		return &BuildRequested{Build: sampleBuild, Ref: "refs/heads/main", Commit: sampleCommit, Cause: c, Reason: r, OnlyIf: onlyIf}
	}
	found := *schedule
	found.Changed = "a base"
	for name, test := range map[string]struct {
		later  *BuildRequested
		serves bool
	}{
		"a push":                    {ask(CausePush, nil, ""), false},
		"a tag":                     {ask(CausePush, &Reason{Kind: ReasonTag}, ""), false},
		"a poll":                    {ask(CausePush, &Reason{Kind: ReasonPoll}, ""), true},
		"a person":                  {ask(CausePerson, nil, ""), false},
		"a retry":                   {ask(CauseRetry, nil, ""), false},
		"the same time again":       {ask(CausePush, schedule, OnlyIfChanged), true},
		"the same, and what it saw": {ask(CausePush, &found, OnlyIfChanged), true},
		"a base":                    {ask(CausePush, &Reason{Kind: ReasonBase}, ""), false},
	} {
		if got := ask(CausePush, schedule, OnlyIfChanged).Serves(test.later); got != test.serves {
			t.Errorf("%s: served %v", name, got)
		}
	}
	if !ask(CausePush, schedule, "").Serves(ask(CausePerson, nil, "")) {
		t.Error("a person is not served by a build that is done in any case")
	}
}

func TestARequestOfATagIsOneThatOlderBuildersRead(t *testing.T) {
	for ref, want := range map[string]struct{ has, hasNot []string }{
		"refs/tags/v1.2":       {[]string{`"branch":"main","branches":["main","release/*"],"tags":["v*"]`, `"tag":"v1.2"`, `"cause":"person"`}, []string{`"ref"`}},
		"refs/heads/release/1": {[]string{`"branch":"release/1","branches":["main","release/*"]`, `"ref":"refs/heads/release/1"`, `"cause":"push"`}, []string{`"tag"`}},
	} {
		r := &BuildRequested{Build: sampleBuild, Pipeline: samplePipeline(), Commit: sampleCommit, Cause: CausePush, Received: sampleTime}
		r.Pipeline.Branches, r.Pipeline.Tags = []string{"main", "release/*"}, []string{"v*"}
		r.SetRef(ref)
		m, err := Encode(sampleEnvelope(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, has := range want.has {
			if !strings.Contains(string(m.Body), has) {
				t.Errorf("%s: it has no %s: %s", ref, has, m.Body)
			}
		}
		for _, has := range want.hasNot {
			if strings.Contains(string(m.Body), has) {
				t.Errorf("%s: it has %s: %s", ref, has, m.Body)
			}
		}
		_, got, err := DecodeAs[*BuildRequested](m)
		if err != nil || got.FullRef() != ref || !got.FollowsHead() || !got.SamePush(r) {
			t.Errorf("%s: read, it is %+v, error %v", ref, got, err)
		}
		other := *got
		other.SetRef("refs/heads/main")
		if other.Tag = ""; got.SamePush(&other) {
			t.Errorf("%s is the same push as one of main", ref)
		}
	}
}

func TestATagBesideABranchIsRefused(t *testing.T) {
	for name, change := range map[string]func(*BuildRequested){
		"a tag beside a ref":    func(r *BuildRequested) { r.Tag = "v1" },
		"a tag that can't be":   func(r *BuildRequested) { r.Ref, r.Tag = "", "v 1" },
		"a tag that is an path": func(r *BuildRequested) { r.Ref, r.Tag = "", "../v1" },
	} {
		r := &BuildRequested{Build: sampleBuild, Pipeline: samplePipeline(), Ref: "refs/heads/main", Commit: sampleCommit, Cause: CausePush}
		change(r)
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), "tag: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
