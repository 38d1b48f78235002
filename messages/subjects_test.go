package messages

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSubjects(t *testing.T) {
	want := map[Type]string{
		TypeBuildRequested:   "fenceline.build.requested.v1.libgraphite2",
		TypeBuildStarted:     "fenceline.build.started.v1.libgraphite2." + sampleBuild,
		TypeBasePinned:       "fenceline.base.pinned.v1.libgraphite2." + sampleBuild,
		TypeBuildFailed:      "fenceline.build.failed.v1.libgraphite2." + sampleBuild,
		TypeBuildSuperseded:  "fenceline.build.superseded.v1.libgraphite2." + sampleBuild,
		TypeBuildCancelled:   "fenceline.build.cancelled.v1.libgraphite2." + sampleBuild,
		TypeBuildLog:         "fenceline.build.log.v1.libgraphite2." + sampleBuild,
		TypeImageReady:       "fenceline.image.ready.v1.libgraphite2." + sampleBuild,
		TypeNodeFailed:       "fenceline.node.failed.v1.production.dea-1",
		TypeTrialFinished:    "fenceline.trial.finished.v1.production.dea-1",
		TypeRolloutChanged:   "fenceline.rollout.changed.v1.production.production-" + sampleBuild,
		TypeFleetChanged:     "fenceline.fleet.changed.v1.production",
		TypeFenceAsked:       "fenceline.fence.asked.v1.production",
		TypeFenceAnswered:    "fenceline.fence.answered.v1.production.mnopqrst",
		TypeCallsAudited:     "fenceline.calls.audited.v1.producer",
		TypeRefusalsCounted:  "fenceline.refusals.counted.v1.producer",
		TypeDecisionMade:     "fenceline.decision.made.v1.person",
		TypeEventUndelivered: "fenceline.event.undelivered.v1.ops-chat",
		TypeDeadLetter:       "fenceline.dead.letter.v1.fenceline-requests.4",
	}
	var s Space
	for _, p := range samples() {
		if got := s.Subject(p); got != want[p.MessageType()] {
			t.Errorf("%s goes to %s, want %s", p.MessageType(), got, want[p.MessageType()])
		}
	}
	for _, c := range []struct{ got, want string }{
		{s.BuildSubject(TypeImageReady, "p", "p-1"), "fenceline.image.ready.v1.p.p-1"},
		{s.RequestSubject("p"), "fenceline.build.requested.v1.p"},
		{s.AnyVersion(TypeFleetChanged, "f"), "fenceline.fleet.changed.*.f"},
		{s.Filter(TypeImageReady), "fenceline.image.ready.v1.>"},
		{s.Filter(TypeImageReady, "p"), "fenceline.image.ready.v1.p.>"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// matches tells whether a subject is within a filter that ends in ">".
func matches(filter, subject string) bool {
	return strings.HasPrefix(subject, strings.TrimSuffix(filter, ">"))
}

func TestEveryMessageHasOneStream(t *testing.T) {
	var s Space
	for _, p := range samples() {
		want := 1
		switch p.MessageType() {
		case TypeFleetChanged, TypeFenceAsked, TypeFenceAnswered:
			want = 0 // core NATS: the record itself is kept, and who asks waits for the answer
		}
		got := 0
		for _, filters := range [][]string{s.RequestSubjects(), s.EventSubjects(), s.ReportSubjects(), s.LetterSubjects(), s.LogSubjects(), s.AuditSubjects(), s.RefusalSubjects(), s.DecisionSubjects(), s.SinkSubjects()} {
			for _, f := range filters {
				if matches(f, s.Subject(p)) {
					got++
				}
			}
		}
		if got != want {
			t.Errorf("%s is kept by %d filters, want %d", p.MessageType(), got, want)
		}
	}
}

func TestStreamsKeepNewerVersions(t *testing.T) {
	for _, f := range (Space{}).RequestSubjects() {
		if !matches(f, "fenceline.build.requested.v2.libgraphite2") {
			t.Errorf("%s does not keep what a newer producer sends", f)
		}
	}
}

func TestFilterLeavesItsArgumentsAlone(t *testing.T) {
	tokens := append(make([]string, 0, 4), "p")
	_ = Space{}.Filter(TypeImageReady, tokens...)
	if got := tokens[:2][1]; got != "" {
		t.Errorf("Filter wrote %q behind the caller's slice", got)
	}
}

func names(s Space) []string {
	return []string{
		s.RequestsStream(), s.EventsStream(), s.ReportsStream(), s.LettersStream(), s.LogsStream(), s.BuildsBucket(), s.RolloutsBucket(), s.FleetsBucket(),
		s.MembersBucket(), s.NodesBucket(), s.FenceBucket(), s.ContextsStore(), s.StatusesBucket(), s.TriggersBucket(),
	}
}

func TestSpacesDoNotMeet(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9](-?(requests|events|reports|letters|builds|[a-z])){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a, errA := NewSpace(label.Draw(t, "a"))
		b, errB := NewSpace(label.Draw(t, "b"))
		if errA != nil || errB != nil || a.Prefix() == b.Prefix() {
			t.Skip("not two prefixes")
		}
		have := map[string]bool{}
		for _, n := range names(a) {
			have[n] = true
		}
		for _, n := range names(b) {
			if have[n] {
				t.Fatalf("%q and %q share %s", a.Prefix(), b.Prefix(), n)
			}
		}
		for _, p := range samples() {
			for _, f := range append(a.EventSubjects(), a.RequestSubjects()...) {
				if matches(f, b.Subject(p)) {
					t.Fatalf("%s of %q is within %s", b.Subject(p), b.Prefix(), f)
				}
			}
		}
	})
}

func TestNewSpace(t *testing.T) {
	if s, err := NewSpace(""); err != nil || s.Prefix() != DefaultPrefix || s != (Space{}) {
		t.Errorf("the empty prefix gives %q, %v", s.Prefix(), err)
	}
	for _, bad := range []string{"a.b", "a*", ">", "A", "$js", "_inbox", "-a", "a b", strings.Repeat("a", 64)} {
		if _, err := NewSpace(bad); err == nil {
			t.Errorf("prefix %q is taken", bad)
		}
	}
}

func TestNodeKey(t *testing.T) {
	fleet, node, err := ParseNodeKey(NodeKey("production", "dea-1"))
	if err != nil || fleet != "production" || node != "dea-1" {
		t.Errorf("got %q, %q, %v", fleet, node, err)
	}
	for _, bad := range []string{"", "production", "production.", ".dea-1", "a.b.c", "a.*", "A.b"} {
		if _, _, err := ParseNodeKey(bad); err == nil {
			t.Errorf("key %q is taken", bad)
		}
	}
}

// TestTokensAreChecked sets every string of every payload that ends in the subject to
// something that would change the subject.
func TestTokensAreChecked(t *testing.T) {
	for _, evil := range []string{"a.b", "*", ">", "a b", "a\r\nPUB x 1", "", "é", strings.Repeat("a", 300)} {
		for i, p := range samples() {
			forEachString(reflect.ValueOf(p).Elem(), func(v reflect.Value) {
				before, tokens := v.String(), p.tokens()
				v.SetString(evil)
				moved := !reflect.DeepEqual(tokens, p.tokens())
				if moved && p.Validate() == nil {
					t.Errorf("sample %d, %s: %q reaches the subject %q", i, p.MessageType(), evil, Space{}.Subject(p))
				}
				v.SetString(before)
			})
		}
	}
}

func forEachString(v reflect.Value, fn func(reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		fn(v)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				forEachString(v.Field(i), fn)
			}
		}
	}
}

func TestSubjectsTellTheirType(t *testing.T) {
	s, err := NewSpace("site-a")
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]Type{
		s.RequestSubject("base"):                         TypeBuildRequested,
		s.BuildSubject(TypeImageReady, "base", "base-1"): TypeImageReady,
		"site-a.build.requested.v12.base":                "dev.fenceline.build.requested.v12",
		"site-b.build.requested.v1.base":                 "",
		"site-a.build.requested":                         "",
		"site-a.build.requested.one.base":                "",
		"":                                               "",
	} {
		if got := s.TypeAt(subject); got != want {
			t.Errorf("%q has type %q, want %q", subject, got, want)
		}
	}
	if got := s.AnyRequest("base"); got != "site-a.build.requested.*.base" {
		t.Errorf("any request is %s", got)
	}
}
