package console

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

// TestAnOlderInstallation has given the console's user what it took before it could retire nodes and handle dead letters: that is
// refused in words that say what to do, nothing is done, and all else goes on.
func TestAnOlderInstallation(t *testing.T) {
	s := newSiteAt(t, func(o *server.Options) {
		for _, u := range o.Users {
			if u.Username != "console" {
				continue
			}
			before := len(u.Permissions.Publish.Allow)
			u.Permissions.Publish.Allow = slices.DeleteFunc(u.Permissions.Publish.Allow, func(subject string) bool {
				return strings.HasSuffix(subject, ".*.*") || strings.Contains(subject, ".PURGE.") || strings.Contains(subject, ".build.requested.")
			})
			if before == len(u.Permissions.Publish.Allow) {
				t.Fatal("it may do all of it")
			}
		}
	})
	s.fleet(t, "production", 1)
	s.silent(t, "production", "node-00007")
	letter := s.buriedRequest(t)
	ada := s.as(t, "ada")
	for _, path := range []string{"/fleets/production/nodes/node-00007/retire", "/dead-letters/" + letter + "/requeue", "/dead-letters/" + letter + "/drop"} {
		a := ada.post(t, path, ada.form(t, path, ""))
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "Run &#39;fenceline init --dir&#39; of this version again") || !strings.Contains(a.body, "Nothing was done") {
			t.Errorf("%s: %d\n%s", path, a.status, a.body)
		}
	}
	if !s.isMember(t, "production", "node-00007") || !s.has(t, letter) || s.requests(t) != 0 {
		t.Error("something was done")
	}
	const path = "/fleets/production/hold"
	if a := ada.post(t, path, ada.form(t, path, "freeze")); a.status != http.StatusSeeOther {
		t.Errorf("a hold: %d\n%s", a.status, a.body)
	}
	queuetest.Must(t, s.admin.Ready(t.Context()))
}
