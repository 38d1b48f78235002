package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func (s *site) record(t *testing.T, fleet string) messages.FleetRecord {
	t.Helper()
	e, err := store.Fleets(s.admin).Current(queuetest.Within(t), fleet)
	queuetest.Must(t, err)
	return e.Value
}

func TestDecisionsAboutAFleet(t *testing.T) {
	begun := time.Now().UTC()
	s := newSite(t)
	s.fleet(t, "production", 3)
	s.node(t, "production", "node-00001", func(n *messages.NodeStatus) {
		n.Containers = []messages.ContainerUse{{Container: "a", Image: "l2"}, {Container: "b", Image: "l1"}}
	})
	ada := s.as(t, "ada")
	ada.until(t, "/fleets/production/rollback", "it says what it will do", func(a answer) bool {
		return strings.Contains(a.body, "3 of 3 nodes have it now") && strings.Contains(a.body, "1 container on 1 node will go on") &&
			strings.Contains(a.body, `<code>a</code> on <a href="/fleets/production/nodes/node-00001">node-00001</a>: <code>l2</code>`) && !strings.Contains(a.body, "<code>b</code>") &&
			strings.Contains(a.body, `› <a href="/fleets/production">production</a>`)
	})
	a := ada.post(t, "/fleets/production/hold", ada.form(t, "/fleets/production/hold", "release freeze"))
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/fleets/production" {
		t.Fatalf("a hold: %d %s", a.status, a.body)
	}
	if r := s.record(t, "production"); r.Hold == nil || r.Hold.By != "ada" || r.Hold.Reason != "release freeze" {
		t.Errorf("the hold is %+v", r.Hold)
	}
	if a := ada.until(t, "/fleets/production", "the page shows it", says("release freeze")); !strings.Contains(a.body, `href="/fleets/production/release"`) {
		t.Errorf("the page has no way to release it:\n%s", a.body)
	}
	if a := ada.post(t, "/fleets/production/release", ada.form(t, "/fleets/production/release", "over")); a.status != http.StatusSeeOther {
		t.Errorf("a release: %d", a.status)
	}
	if a := ada.get(t, "/fleets/production"); !strings.Contains(a.body, "Done: Fleet production is released") {
		t.Errorf("the outcome is not shown:\n%s", a.body)
	}
	if a := ada.get(t, "/fleets/production"); strings.Contains(a.body, "Done: ") {
		t.Error("the outcome is shown twice")
	}
	if a := ada.post(t, "/fleets/production/rollback", ada.form(t, "/fleets/production/rollback", "it leaks")); a.status != http.StatusSeeOther {
		t.Errorf("a rollback: %d\n%s", a.status, a.body)
	}
	ada.until(t, "/", "the first page says since when", says(fmt.Sprintf(`since <time datetime="%s"`, s.record(t, "production").Decided.At.Format(time.RFC3339))))
	r := s.record(t, "production")
	if r.Decided.At.Before(begun) || r.Current.Image != imageOf(1) || r.Hold == nil || r.Hold.By != "ada" || !strings.HasSuffix(r.Hold.Reason, ": it leaks") {
		t.Errorf("after the rollback the record is %+v, %+v", r.Current, r.Hold)
	}
}

func TestDecisionsAboutARollout(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	id := s.moving(t, "production", messages.RolloutApproval, func(r *messages.RolloutRecord) { r.Policy.Approval = true })
	ada := s.as(t, "ada")
	ada.until(t, "/rollouts/"+id, "the rollout is there", says("Approve it"))
	if a := ada.post(t, "/rollouts/"+id+"/approve", ada.form(t, "/rollouts/"+id+"/approve", "tested by hand")); a.status != http.StatusSeeOther || a.header.Get("Location") != "/rollouts/"+id {
		t.Fatalf("an approval: %d %s", a.status, a.body)
	}
	if e, err := store.Rollouts(s.admin).Current(t.Context(), id); err != nil || e.Value.Approved != "ada" || e.Value.ApprovedWhy != "tested by hand" {
		t.Errorf("approved by %q, %q, %v", e.Value.Approved, e.Value.ApprovedWhy, err)
	}
	ada.until(t, "/rollouts/"+id, "its page says why", says("ada: tested by hand"))
	if a := ada.post(t, "/rollouts/"+id+"/abort", ada.form(t, "/rollouts/"+id+"/abort", "no")); a.status != http.StatusSeeOther {
		t.Fatalf("an abort: %d", a.status)
	}
	if e, err := store.Rollouts(s.admin).Current(t.Context(), id); err != nil || e.Value.Aborted != "ada" || e.Value.AbortedWhy != "no" {
		t.Errorf("aborted by %q, %q, %v", e.Value.Aborted, e.Value.AbortedWhy, err)
	}
}

// TestTwoOperatorsDecideAtOnce: the second is shown what has changed, and decides anew.
func TestTwoOperatorsDecideAtOnce(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 2)
	ada, bob := s.as(t, "ada"), s.as(t, "bob")
	ada.until(t, "/fleets/production", "the fleet is there", says("2 present"))
	first, second := ada.form(t, "/fleets/production/rollback", "it leaks"), bob.form(t, "/fleets/production/hold", "lunch")
	if a := ada.post(t, "/fleets/production/rollback", first); a.status != http.StatusSeeOther {
		t.Fatalf("the first: %d %s", a.status, a.body)
	}
	a := bob.post(t, "/fleets/production/hold", second)
	if a.status != http.StatusConflict || !strings.Contains(a.body, "it was changed while you looked") ||
		!strings.Contains(a.body, "The hold was none, and is that of ada") || !strings.Contains(a.body, fmt.Sprintf("The current image was %s (epoch 2), and is %s (epoch 3)", imageOf(2), imageOf(1))) {
		t.Errorf("the second: %d\n%s", a.status, a.body)
	}
	if r := s.record(t, "production"); r.Hold == nil || r.Hold.By != "ada" {
		t.Errorf("the hold is %+v", r.Hold)
	}
}

// TestADecisionBetweenLookAndWrite, such as while a rollback waits for heartbeats, counts as one before.
func TestADecisionBetweenLookAndWrite(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	ctx := queuetest.Within(t)
	var seen []*fleetDecision
	for _, action := range []string{actRelease, actRollback, actHold, actPromote} {
		d := &fleetDecision{action: action, fleet: "production", to: imageOf(1).Digest()}
		queuetest.Must(t, d.read(ctx, s.it))
		seen = append(seen, d)
	}
	_, err := people.Hold(ctx, s.admin, "production", "lunch", "bob")
	queuetest.Must(t, err)
	s.beating(t)
	for _, d := range seen {
		if _, err := d.carryOut(ctx, s.it, "ada", "it leaks"); !errors.Is(err, people.ErrChanged) {
			t.Errorf("%s: %v", d.title(), err)
		}
	}
	if r := s.record(t, "production"); r.Hold == nil || r.Hold.By != "bob" || r.Current.Image != imageOf(2) {
		t.Errorf("the record is %+v, %+v", r.Hold, r.Current)
	}
}

// TestWhatIsDecidedIsNotDenied though its event can't be stored, and what may be is not denied either.
func TestWhatIsDecidedIsNotDenied(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	ada := s.as(t, "ada")
	_, err := store.Fleets(s.admin).Modify(queuetest.Within(t), "production", func(f *messages.FleetRecord) error {
		f.Current.Rollout = "production-base-2"
		return nil
	})
	queuetest.Must(t, err)
	form := ada.form(t, "/fleets/production/hold", "release freeze")
	queuetest.Must(t, queuetest.JetStream(t, s.admin).DeleteStream(queuetest.Within(t), s.admin.Space().EventsStream()))
	if a := ada.post(t, "/fleets/production/hold", form); a.status != http.StatusSeeOther {
		t.Errorf("a hold: %d\n%s", a.status, a.body)
	}
	if s.record(t, "production").Hold == nil {
		t.Fatal("it is not held")
	}
	if a := ada.get(t, "/fleets/production"); !strings.Contains(a.body, "Done: ") || !strings.Contains(a.body, "was not stored") {
		t.Errorf("it says\n%s", a.body)
	}
	for err, want := range map[error]string{
		people.ErrNothingToDo: "Nothing was done", queue.ErrForbidden: "Nothing was done",
		fmt.Errorf("%w: %w", errUnsure, queue.ErrUnavailable): "not known whether",
	} {
		if said := s.it.problem(&fleetDecision{}, nil, err); !strings.Contains(said, want) {
			t.Errorf("of %v it says %s", err, said)
		}
	}
	for err, want := range map[error]bool{queue.ErrUnavailable: true, context.DeadlineExceeded: true, people.ErrTooLate: false, fmt.Errorf("%w: %w", people.ErrDecided, queue.ErrUnavailable): false} {
		if unsure(err) != want {
			t.Errorf("%v is unsure: %t", err, !want)
		}
	}
}

func TestFormsThatAreNotTheirs(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	ada, bob, vera := s.as(t, "ada"), s.as(t, "bob"), s.as(t, "vera")
	ada.until(t, "/fleets/production", "the fleet is there", says("1 present"))
	const path = "/fleets/production/hold"
	other := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example")
	}
	old := func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
	}
	for name, a := range map[string]answer{
		"another site's":            ada.post(t, path, ada.form(t, path, "x"), other),
		"another site's, old":       ada.post(t, path, ada.form(t, path, "x"), old),
		"another person's":          bob.post(t, path, ada.form(t, path, "x")),
		"made up":                   ada.post(t, path, url.Values{"form": {"x"}, "reason": {"x"}}),
		"a viewer's":                vera.post(t, path, ada.form(t, path, "x")),
		"without a reason":          ada.post(t, path, ada.form(t, path, " ")),
		"a reason of 2000 bytes":    ada.post(t, path, ada.form(t, path, strings.Repeat("x", 2000))),
		"a reason that is no text":  ada.post(t, path, ada.form(t, path, "\xff\xfe")),
		"no such decision":          ada.post(t, "/fleets/production/explode", ada.form(t, path, "x")),
		"no such fleet":             ada.post(t, "/fleets/none/hold", ada.form(t, path, "x")),
		"a name that is no subject": ada.post(t, "/fleets/a.b%3E/hold", ada.form(t, path, "x")),
	} {
		if a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if r := s.record(t, "production"); r.Hold != nil {
			t.Fatalf("%s: it is held: %+v", name, r.Hold)
		}
	}
	large := strings.Repeat("x", 1<<20)
	for _, path := range []string{path, "/builds/" + s.asked(t, 1, nil) + "/cancel"} {
		if a := ada.post(t, path, ada.form(t, path, large)); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, "give the reason in 1000 or fewer") {
			t.Errorf("a reason of a megabyte for %s: %d %s", path, a.status, a.body)
		}
	}
	another := ada.form(t, "/fleets/production/promote?to="+imageOf(1).Digest(), "x")
	another.Set("to", imageOf(3).Digest())
	if a := ada.post(t, "/fleets/production/promote", another); a.status != http.StatusConflict || !strings.Contains(a.body, "was not shown to you") {
		t.Errorf("the form of another image: %d %s", a.status, a.body)
	}
	form := ada.form(t, path, "x")
	if a := ada.post(t, path, form); a.status != http.StatusSeeOther {
		t.Fatalf("its own: %d", a.status)
	}
	if a := ada.post(t, path, form); a.status != http.StatusConflict || !strings.Contains(a.body, "sent already") {
		t.Errorf("its own again: %d", a.status)
	}
}
