package console

import (
	"net/http"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

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
	var got []messages.DecisionMade
	queuetest.Must(t, s.admin.Read(queuetest.Within(t), s.admin.Space().DecisionsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		if d, ok := r.Payload.(*messages.DecisionMade); ok {
			got = append(got, *d)
		}
		return nil
	}))
	if len(got) != 2 || got[0].Outcome != messages.OutcomeAccepted || got[1].Outcome != messages.OutcomeRefused || got[1].Why == "" {
		t.Fatalf("the events are %+v", got)
	}
	for i, reason := range []string{"release freeze", "once more"} {
		if d := got[i]; d.By != "ada" || d.Via != "console" || d.From == "" || d.Action != "hold" || d.Fleet != "production" || d.Reason != reason {
			t.Errorf("an event is %+v", d)
		}
	}
}
