package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// decisions are the events of decisions, the oldest first.
func (s *site) decisions(t *testing.T) (out []messages.DecisionMade) {
	t.Helper()
	queuetest.Must(t, s.admin.Read(queuetest.Within(t), s.admin.Space().DecisionsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		if d, ok := r.Payload.(*messages.DecisionMade); ok {
			out = append(out, *d)
		}
		return nil
	}))
	return out
}

// TestDecisionsAreEvents, those that were refused too, with who and from where.
func TestDecisionsAreEvents(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 3)
	ada := s.as(t, "ada")
	ada.until(t, "/fleets/production/hold", "it can be held", func(a answer) bool { return a.status == http.StatusOK })
	seen := ada.form(t, "/fleets/production/hold", "once more")
	if a := ada.post(t, "/fleets/production/hold", ada.form(t, "/fleets/production/hold", "release freeze")); a.status != http.StatusSeeOther {
		t.Fatalf("a hold: %d %s", a.status, a.body)
	}
	if a := ada.post(t, "/fleets/production/hold", seen); a.status == http.StatusSeeOther {
		t.Fatal("it is held twice")
	}
	got := s.decisions(t)
	if len(got) != 2 || got[0].Outcome != messages.OutcomeAccepted || got[1].Outcome != messages.OutcomeRefused || got[1].Why == "" {
		t.Fatalf("the events are %+v", got)
	}
	for i, reason := range []string{"release freeze", "once more"} {
		if d := got[i]; d.By != "ada" || d.Via != "console" || d.From == "" || d.Action != "hold" || d.Fleet != "production" || d.Reason != reason {
			t.Errorf("an event is %+v", d)
		}
	}
}

// TestFormsThatAreRefusedAreEvents: one that was sent before, or made up, and one that is too large.
func TestFormsThatAreRefusedAreEvents(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 3)
	ada := s.as(t, "ada")
	const path = "/fleets/production/hold"
	form := ada.form(t, path, "release freeze")
	ada.post(t, path, form)
	for _, refused := range []url.Values{form, {"form": {"made up"}}, {"reason": {strings.Repeat("x", 1<<20)}}} {
		if a := ada.post(t, path, refused); a.status < 400 || a.status >= 500 {
			t.Errorf("it is answered %d", a.status)
		}
	}
	got := s.decisions(t)
	if len(got) != 4 {
		t.Fatalf("the events are %+v", got)
	}
	for i, why := range []string{"", "was sent already", "was not shown to you", "more than 65536 bytes"} {
		if d := got[i]; d.By != "ada" || d.From == "" || d.Action != "hold" || d.Fleet != "production" || (why == "") != (d.Outcome == messages.OutcomeAccepted) || !strings.Contains(d.Why, why) {
			t.Errorf("the event is %+v, and not of %q", d, why)
		}
	}
}

// TestARefusedViewersDecisionIsAnEvent, and so is not where they ask again and again: those take no other's place.
func TestARefusedViewersDecisionIsAnEvent(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 3)
	vera := s.as(t, "vera")
	const path = "/fleets/production/hold"
	if a := vera.get(t, path); a.status != http.StatusForbidden {
		t.Errorf("looking at it: %d", a.status)
	}
	for range triesEach + 5 {
		if a := vera.post(t, path, url.Values{"reason": {"let me"}}); a.status != http.StatusForbidden {
			t.Fatalf("deciding it: %d %s", a.status, a.body)
		}
	}
	if a := vera.post(t, "/fleets/production/explode", nil); a.status != http.StatusForbidden {
		t.Errorf("what can't be decided: %d", a.status)
	}
	got := s.decisions(t)
	if len(got) < triesEach || len(got) > triesEach+2 {
		t.Fatalf("%d events", len(got))
	}
	if d := got[0]; d.By != "vera" || d.From == "" || d.Action != "hold" || d.Fleet != "production" || d.Outcome != messages.OutcomeRefused || d.Why == "" || d.Doubtful {
		t.Errorf("the event is %+v", d)
	}
}
