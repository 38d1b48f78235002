package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// bury keeps a dead letter, and returns its name.
func (s *site) bury(t *testing.T, sequence uint64, change func(*messages.DeadLetter)) string {
	t.Helper()
	l := messages.DeadLetter{Stream: "fenceline-requests", Sequence: sequence, Subject: "fenceline.build.requested.v1.base", Reason: "it is of no use", Body: []byte(`{"a":1}`), Deliveries: 5, At: time.Now().UTC()}
	if change != nil {
		change(&l)
	}
	queuetest.Must(t, s.admin.Publish(queuetest.Within(t), "", &l))
	return builds.LetterName(l)
}

func TestDeadLettersAreListedAndShown(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	text := s.bury(t, 1, func(l *messages.DeadLetter) {
		l.Reason, l.Subject, l.Body, l.Headers = hostile, hostile, []byte(`{"a":"<script>alert(3)</script>"}`), messages.Headers{"ce-id": {hostile}}
	})
	raw := s.bury(t, 2, func(l *messages.DeadLetter) { l.Body = []byte("\xff\x00\x1b[2J") })
	long := s.bury(t, 3, func(l *messages.DeadLetter) { l.Body = []byte(strings.Repeat("x", 200_000)) })
	big := s.bury(t, 4, func(l *messages.DeadLetter) { l.Body, l.Omitted = nil, 2_000_000 })
	vera := s.as(t, "vera")
	a := vera.until(t, "/dead-letters", "they are read", says(big))
	holds(t, a, `href="/dead-letters/`+text+`"`, "it is of no use", "&lt;script&gt;")
	lacks(t, a, "<script>alert", "\x1b")
	for name, want := range map[string][]string{
		text: {"&lt;script&gt;alert(3)", "ce-id", "It can't be sent again"},
		raw:  {"It is not text", "ff 00 1b 5b 32 4a"},
		long: {"and 134464 bytes more"},
		big:  {"its 2000000 bytes were too many"},
	} {
		a := vera.get(t, "/dead-letters/"+name)
		if a.status != http.StatusOK || len(a.body) > 200_000 {
			t.Errorf("%s: %d, %d bytes", name, a.status, len(a.body))
		}
		holds(t, a, want...)
		lacks(t, a, "<script>alert", "\x1b")
	}
	for _, name := range []string{"fenceline-requests-99", "nothing", "a.b-1", "*-1", "%3Cscript%3E-1", strings.Repeat("x", 5000)} {
		if a := vera.get(t, "/dead-letters/"+name); a.status != http.StatusNotFound || strings.Contains(a.body, "<script>") {
			t.Errorf("%.20s: %d %.200s", name, a.status, a.body)
		}
	}
	lacks(t, vera.get(t, "/dead-letters/"+raw), "/requeue", "/drop")
	ada := s.as(t, "ada")
	holds(t, ada.get(t, "/dead-letters/"+raw), `href="/dead-letters/`+raw+`/requeue"`, `href="/dead-letters/`+raw+`/drop"`)
	lacks(t, ada.get(t, "/dead-letters/"+big), "/requeue")
	holds(t, ada.get(t, "/dead-letters/"+raw+"/drop"), "What it will do")
	stream := vera.listen(t, streamOf(t, a))
	await(t, stream, big)
	queuetest.Must(t, builds.New(s.admin).DropDeadLetter(queuetest.Within(t), big))
	if a := vera.get(t, "/dead-letters"); strings.Contains(a.body, big) {
		t.Error("one that was dropped just now is listed")
	}
	s.bury(t, 7, nil)
	_ = s.moving(t, "production", messages.RolloutWaiting, nil)
	vera.until(t, "/", "the first page leads there", says(`href="/dead-letters"`))
}

func TestDeadLettersByPages(t *testing.T) {
	s := newSite(t)
	for n := range uint64(120) {
		s.bury(t, n+1, nil)
	}
	vera := s.as(t, "vera")
	seen, pages := map[string]bool{}, 0
	for path := "/dead-letters"; path != ""; pages++ {
		a := vera.get(t, path)
		for n := range 121 {
			if name := fmt.Sprintf(`href="/dead-letters/fenceline-requests-%d"`, n); strings.Contains(a.body, name) {
				seen[name] = true
			}
		}
		_, next, more := strings.Cut(a.body, `<a href="/dead-letters?from=`)
		path = ""
		if more {
			path = "/dead-letters?from=" + next[:strings.Index(next, `"`)]
		}
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d letters on %d pages", len(seen), pages)
	}
	holds(t, vera.get(t, "/dead-letters?from=100000"), "There are no more")
	for _, from := range []string{"-1", "x", "99999999999999999999999"} {
		if a := vera.get(t, "/dead-letters?from="+from); a.status != http.StatusOK {
			t.Errorf("from %s: %d", from, a.status)
		}
	}
}
