package console

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// buried makes the dead letter of a message, and returns its name.
func (s *site) buried(t *testing.T, p messages.Payload, subject string, change func(*messages.DeadLetter)) string {
	t.Helper()
	m, err := messages.Encode(s.admin.Envelope("x", ""), p)
	queuetest.Must(t, err)
	l := &messages.DeadLetter{
		Stream: s.admin.Space().RequestsStream(), Sequence: uint64(7 + len(s.letters(t))), Subject: subject, Reason: hostile,
		Headers: m.Headers, Body: m.Body, Deliveries: 3, At: time.Now().UTC(),
	}
	if change != nil {
		change(l)
	}
	queuetest.Must(t, s.admin.Publish(queuetest.Within(t), "", l))
	return builds.LetterName(*l)
}

func (s *site) letters(t *testing.T) []messages.DeadLetter {
	t.Helper()
	all, err := builds.New(s.admin).DeadLetters(queuetest.Within(t))
	queuetest.Must(t, err)
	return all
}

func (s *site) has(t *testing.T, letter string) bool {
	t.Helper()
	return slices.ContainsFunc(s.letters(t), func(l messages.DeadLetter) bool { return builds.LetterName(l) == letter })
}

// buriedRequest is the dead letter of a build's request.
func (s *site) buriedRequest(t *testing.T) string {
	t.Helper()
	r := buildstest.Request("base", 1)
	r.Build = messages.NewBuildID("base")
	return s.buried(t, r, s.admin.Space().RequestSubject("base"), nil)
}

// requests counts the requests that are stored.
func (s *site) requests(t *testing.T) uint64 {
	t.Helper()
	info, err := s.admin.Info(queuetest.Within(t), s.admin.Space().RequestsStream())
	queuetest.Must(t, err)
	return info.Messages
}

func TestADeadLetterIsRequeued(t *testing.T) {
	s := newSite(t)
	letter := s.buriedRequest(t)
	ada := s.as(t, "ada")
	path := "/dead-letters/" + letter + "/requeue"
	a := ada.get(t, path)
	for _, want := range []string{"of pipeline base", "with order 7 as the first one", "&lt;script&gt;alert(1)"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("it doesn't say %q:\n%s", want, a.body)
		}
	}
	if strings.ContainsAny(a.body, "\x1b\x07") || strings.Contains(a.body, "<script>alert") {
		t.Errorf("what a stranger wrote is obeyed:\n%s", a.body)
	}
	if a := ada.post(t, path, ada.form(t, path, "")); a.status != http.StatusSeeOther || a.header.Get("Location") != "/dead-letters" {
		t.Fatalf("it is not requeued: %d\n%s", a.status, a.body)
	}
	if s.has(t, letter) {
		t.Error("the letter is still there")
	}
	queued, err := builds.New(s.admin).Queued(queuetest.Within(t))
	queuetest.Must(t, err)
	if len(queued) != 1 || queued[0].RequestedBy != "ada" || queued[0].Order != 7 {
		t.Errorf("queued is %+v", queued)
	}
	if a := ada.get(t, path); a.status != http.StatusNotFound || !strings.Contains(a.body, "Done: Dead letter "+letter+" is requeued as build base-") || strings.Contains(a.body, `name="form"`) {
		t.Errorf("afterwards: %d\n%s", a.status, a.body)
	}
}

// TestEveryKindOfLetterIsRequeued that operators may requeue, with what the console's user may do.
func TestEveryKindOfLetterIsRequeued(t *testing.T) {
	s := newSite(t)
	ada, space := s.as(t, "ada"), s.admin.Space()
	ref := messages.BuildRef{Build: "base-1", Pipeline: "base", Order: 1}
	ready := buildstest.Ready(buildstest.Request("base", 1))
	ready.BuildRef = ref
	for _, p := range []messages.Payload{
		ready, &messages.BasePinned{BuildRef: ref}, &messages.BuildFailed{BuildRef: ref, Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}},
		&messages.BuildSuperseded{BuildRef: ref}, &messages.BuildCancelled{BuildRef: ref, By: "ann"},
		&messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}, &messages.TrialFinished{Fleet: "production", Node: "n1", Rollout: "production-base-1"},
		&messages.RolloutChanged{Fleet: "production", Rollout: "production-base-1", State: messages.RolloutDone},
	} {
		letter := s.buried(t, p, space.Subject(p), func(l *messages.DeadLetter) { l.Stream = space.EventsStream() })
		path := "/dead-letters/" + letter + "/requeue"
		if a := ada.post(t, path, ada.form(t, path, "")); a.status != http.StatusSeeOther {
			t.Errorf("%T: %d\n%s", p, a.status, a.body)
		}
		if s.has(t, letter) {
			t.Errorf("%T: the letter is still there", p)
		}
		stream := space.EventStream(p.MessageType())
		if _, err := s.admin.Last(queuetest.Within(t), stream, space.Subject(p)); err != nil {
			t.Errorf("%T was not sent again: %v", p, err)
		}
	}
}

func TestADeadLetterIsDropped(t *testing.T) {
	s := newSite(t)
	kept, letter := s.buriedRequest(t), s.buriedRequest(t)
	ada := s.as(t, "ada")
	path := "/dead-letters/" + letter + "/drop"
	if a := ada.get(t, path); !strings.Contains(a.body, "removed for good") {
		t.Errorf("it says\n%s", a.body)
	}
	if a := ada.post(t, path, ada.form(t, path, "")); a.status != http.StatusSeeOther {
		t.Fatalf("it is not dropped: %d\n%s", a.status, a.body)
	}
	if s.has(t, letter) || !s.has(t, kept) || s.requests(t) != 0 {
		t.Error("another one is dropped, or something was sent")
	}
}

// TestLettersThatCantBeRequeued are not, and stay.
func TestLettersThatCantBeRequeued(t *testing.T) {
	s := newSite(t)
	ada := s.as(t, "ada")
	large := s.buried(t, &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}, "fenceline.node.failed.v1.production.n1", func(l *messages.DeadLetter) {
		l.Omitted, l.Headers, l.Body = 2<<20, nil, nil
	})
	if a := ada.get(t, "/dead-letters/"+large+"/requeue"); a.status != http.StatusOK || strings.Contains(a.body, `name="form"`) || !strings.Contains(a.body, "too big to be kept") {
		t.Errorf("one that is not whole: %d\n%s", a.status, a.body)
	}
	for _, path := range []string{"/dead-letters/none/requeue", "/dead-letters/fenceline-requests-x/drop", "/dead-letters/a.b%3E-1/drop", "/dead-letters/" + large + "/explode"} {
		if a := ada.get(t, path); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d\n%s", path, a.status, a.body)
		}
	}
	// A letter that names a subject which is nobody's to send to, such as a builder could make up.
	forged := s.buried(t, &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}, "$KV.fenceline-fence.production", nil)
	other := s.buried(t, &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}, "fenceline.fence.asked.v1.production", nil)
	if a := ada.get(t, "/dead-letters/"+forged+"/requeue"); strings.Contains(a.body, `name="form"`) {
		t.Errorf("one of the server's own subjects can be requeued:\n%s", a.body)
	}
	path := "/dead-letters/" + other + "/requeue"
	if a := ada.post(t, path, ada.form(t, path, "")); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "Nothing was done") || !s.has(t, other) {
		t.Errorf("one of another subject: %d\n%s", a.status, a.body)
	}
	if _, err := store.Fleets(s.admin).List(queuetest.Within(t)); err != nil {
		t.Error(err)
	}
}
