package console

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// silent makes a member that is not heard.
func (s *site) silent(t *testing.T, fleet, node string) {
	t.Helper()
	queuetest.Must(t, store.Members(s.admin).Note(messages.NodeKey(fleet, node), messages.Member{Fleet: fleet, Node: node, Joined: time.Now(), Silent: true}))
}

func (s *site) isMember(t *testing.T, fleet, node string) bool {
	t.Helper()
	_, err := store.Members(s.admin).Current(queuetest.Within(t), messages.NodeKey(fleet, node))
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestANodeIsRetired(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 2)
	s.silent(t, "production", "node-00007")
	id := s.moving(t, "production", messages.RolloutPreloading, func(r *messages.RolloutRecord) {
		r.Members, r.Failed = []string{"node-00000", "node-00001", "node-00007"}, map[string]string{"node-00007": "gone"}
	})
	ada := s.as(t, "ada")
	const path = "/fleets/production/nodes/node-00007/retire"
	ada.until(t, "/", "the first page leads to it", says(`href="`+path+`"`))
	ada.until(t, "/fleets/production/nodes/node-00007", "the node's page leads to it", says(`href="`+path+`"`))
	a := ada.get(t, path)
	for _, want := range []string{"Fleet production has 2 members then, instead of 3", "Rollout " + id + " (preloading) counts 2 members then, instead of 3", "What runs on the machine goes on"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("it doesn't say %q:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, " required") {
		t.Error("it must have a reason, which no record would keep")
	}
	if a := ada.post(t, path, ada.form(t, path, "")); a.status != http.StatusSeeOther || a.header.Get("Location") != "/fleets/production" {
		t.Fatalf("it is not retired: %d\n%s", a.status, a.body)
	}
	if s.isMember(t, "production", "node-00007") {
		t.Error("it is a member still")
	}
	if e, err := store.Rollouts(s.admin).Current(t.Context(), id); err != nil || len(e.Value.Members) != 2 || len(e.Value.Failed) != 0 {
		t.Errorf("the rollout has %v, %v, %v", e.Value.Members, e.Value.Failed, err)
	}
	ada.until(t, "/fleets/production", "the outcome is shown, and the node is gone", func(a answer) bool { return !strings.Contains(a.body, `id="n-node-00007"`) })
	if a := ada.get(t, path); a.status != http.StatusNotFound {
		t.Errorf("what is gone can be retired: %d", a.status)
	}
}

// TestANodeThatIsUpIsNotRetired: it would join again. Nor is one that comes up while a person looks.
func TestANodeThatIsUpIsNotRetired(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	s.silent(t, "production", "node-00007")
	ada := s.as(t, "ada")
	if a := ada.get(t, "/fleets/production/nodes/node-00000/retire"); a.status != http.StatusOK || !strings.Contains(a.body, "Stop its distributor") || strings.Contains(a.body, `name="form"`) {
		t.Errorf("of a node that is up: %d\n%s", a.status, a.body)
	}
	const path = "/fleets/production/nodes/node-00007/retire"
	form := ada.form(t, path, "")
	s.beat(t, "production", "node-00007", nil)
	if a := ada.post(t, path, form); a.status != http.StatusConflict || !strings.Contains(a.body, "Its heartbeat was missing, and is there") || !s.isMember(t, "production", "node-00007") {
		t.Errorf("of one that came up: %d\n%s", a.status, a.body)
	}
	for _, path := range []string{"/fleets/production/nodes/none/retire", "/fleets/none/nodes/node-00000/retire", "/fleets/production/nodes/a.b%3E/retire"} {
		if a := ada.get(t, path); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.as(t, "vera").get(t, path); a.status != http.StatusForbidden {
		t.Errorf("a viewer: %d", a.status)
	}
}
