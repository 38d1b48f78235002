package messages

import (
	"slices"
	"strings"
	"testing"
)

func TestTypesKnowTheirVersions(t *testing.T) {
	const older, newer Type = "dev.fenceline.build.requested.v1", "dev.fenceline.build.requested.v10"
	registry[newer] = registry[TypeBuildRequested]
	defer delete(registry, newer)
	if got := older.Versions(); !slices.Equal(got, []Type{older, newer}) {
		t.Errorf("the versions are %v", got)
	}
	if got := TypeImageReady.Versions(); !slices.Equal(got, []Type{TypeImageReady}) {
		t.Errorf("the versions of another kind are %v", got)
	}
	if got := older.After(9); got != newer {
		t.Errorf("nine versions later is %s", got)
	}
	if got := Type("other").After(1); got != "" {
		t.Errorf("what is no type has the next version %q", got)
	}
	if got := older.Label(); got != "build-requested-v1" {
		t.Errorf("the label is %s", got)
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
