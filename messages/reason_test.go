package messages

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAReasonIsInItsWireForm(t *testing.T) {
	r := Reason{Kind: ReasonBase, Link: string(sampleBase), Detail: "docker.io/library/debian:13"}
	want := `{"kind":"base","link":"` + string(sampleBase) + `","detail":"docker.io/library/debian:13"}`
	got, err := json.Marshal(BuildRequested{Reason: &r})
	if err != nil || !strings.Contains(string(got), `"reason":`+want) {
		t.Errorf("%s, %v: want a reason of %s", got, err, want)
	}
	for _, p := range []Payload{&BuildStarted{Reason: &r}, &ImageReady{Reason: &r}} {
		if got, err = json.Marshal(p); err != nil || !strings.Contains(string(got), `"reason":`+want) {
			t.Errorf("%s, %v: want a reason of %s", got, err, want)
		}
	}
	if got, err = json.Marshal(BuildRecord{Reason: &r}); err != nil || !strings.Contains(string(got), `"reason":`+want) {
		t.Errorf("%s, %v: want a reason of %s", got, err, want)
	}
}

func TestWhyOfRequestsThatDoNotSayIt(t *testing.T) {
	for _, c := range []struct {
		r    BuildRequested
		want ReasonKind
	}{
		{BuildRequested{Cause: CausePush, Ref: "refs/heads/main"}, ReasonPush},
		{BuildRequested{Cause: CausePush, Ref: "refs/heads/main", RequestedBy: SeenAtStart}, ReasonPoll},
		{BuildRequested{Cause: CausePerson, Tag: "v1"}, ReasonTag},
		{BuildRequested{Cause: CausePerson}, ReasonPerson},
		{BuildRequested{Cause: CauseRetry, Tag: "v1"}, ReasonRetry},
		{BuildRequested{Cause: CausePush, Reason: &Reason{Kind: ReasonCascade, Link: "base-abc"}}, ReasonCascade},
	} {
		if got := c.r.Why(); got.Kind != c.want {
			t.Errorf("%+v: %s, want %s", c.r, got, c.want)
		}
	}
}

func TestTheSameCommitIsBuiltAfreshForABase(t *testing.T) {
	push := BuildRequested{Cause: CausePush, Ref: "refs/heads/main", Commit: sampleCommit, Reason: &Reason{Kind: ReasonPush, Link: "delivery-1"}}
	again, base, other := push, push, push
	again.Reason = &Reason{Kind: ReasonPoll}
	base.Reason = &Reason{Kind: ReasonBase, Link: string(sampleBase)}
	other.Reason = &Reason{Kind: ReasonBase, Link: string(sampleImage)}
	told := base
	told.Reason = new(*base.Reason)
	for _, c := range []struct {
		name string
		a, b *BuildRequested
		same bool
	}{
		{"by hook and poll", &push, &again, true},
		{"after its base changed", &push, &base, false},
		{"after two changes", &base, &other, false},
		{"a change told twice", &base, &told, true},
		{"a push that is told of after its base changed", &base, &push, true},
	} {
		if got := c.a.SamePush(c.b); got != c.same {
			t.Errorf("%s: the same %t, want %t", c.name, got, c.same)
		}
	}
}

func TestABadReasonIsRefused(t *testing.T) {
	r := BuildRequested{Build: sampleBuild, Pipeline: samplePipeline(), Commit: sampleCommit, Cause: CausePush}
	for _, c := range []struct {
		reason Reason
		want   string
	}{
		{Reason{}, "reason: kind: missing"},
		{Reason{Kind: ReasonPush, Link: strings.Repeat("x", 1025)}, "reason: link: "},
		{Reason{Kind: "a newer one", Link: strings.Repeat("x", 1024)}, ""},
	} {
		r.Reason = &c.reason
		switch err := r.Validate(); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%v: %v, want %q", c.reason, err, c.want)
		}
	}
}
