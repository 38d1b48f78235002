package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestStatusShowsForgesThatAreNotTold has what a worker of statuses writes down.
func TestStatusShowsForgesThatAreNotTold(t *testing.T) {
	c := installation(t)
	p := messages.ForgeProblem{Pipeline: "base", Forge: "https://git.example.com", Problem: "401 Unauthorized: make a token\x1b[31m", Since: time.Now().UTC()}
	_, err := store.ForgeProblems(c).Create(t.Context(), messages.ForgeProblemKey("base"), p)
	queuetest.Must(t, err)
	if out := done(t, "status"); !strings.Contains(out, "problem: statuses of pipeline base don't reach the forge since ") || !strings.Contains(out, "401 Unauthorized") || strings.Contains(out, "\x1b") {
		t.Errorf("it says\n%s", out)
	}
	if s := decoded[statusReport](t, "status"); len(s.ForgeProblems) != 1 || s.ForgeProblems[0].Pipeline != "base" {
		t.Errorf("it is %+v", s.ForgeProblems)
	}
	queuetest.Must(t, queuetest.JetStream(t, c).DeleteKeyValue(t.Context(), c.Space().StatusesBucket())) // as before there were statuses
	if out := done(t, "status"); strings.Contains(out, "statuses") {
		t.Errorf("it says\n%s", out)
	}
}

// TestDoctorAsksTheForges whether they would take statuses, and writes none.
func TestDoctorAsksTheForges(t *testing.T) {
	installation(t)
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("it is asked %s %s", r.Method, r.URL)
		case r.Header.Get("Authorization") != "token a-good-token-0123456789":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message":"invalid username, password or token"}`))
		default:
			_, _ = w.Write([]byte(`{"id":1,"name":"base","owner":{"login":"ops"},"permissions":{"push":true}}`))
		}
	}))
	t.Cleanup(forge.Close)
	dir := t.TempDir()
	config, token := filepath.Join(dir, "fenceline.yaml"), filepath.Join(dir, "token")
	clitest.Write(t, config, "version: 1\npipelines:\n  - {name: base, repository: \"https://git.example.com/ops/base.git\", image: registry.example.com/ops/base,\n"+
		"     status: {forge: gitea, url: \""+forge.URL+"\", token_file: token}}\n")
	clitest.Write(t, token, "a-good-token-0123456789")
	if out := done(t, "doctor", "statuses", "--config", config); !strings.Contains(out, "statuses of base at gitea") || !strings.Contains(out, "may write statuses") {
		t.Errorf("it says\n%s", out)
	}
	clitest.Write(t, token, "another-token-0123456789")
	out := fenceline(t, "doctor", "statuses", "--config", config).out
	if !strings.Contains(out, "PROBLEM") || !strings.Contains(out, "401 Unauthorized: invalid username") || !strings.Contains(out, token) || strings.Contains(out, "another-token") {
		t.Errorf("it says\n%s", out)
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if out := fenceline(t, "doctor", "statuses", "--config", config).out; !strings.Contains(out, "token_file: ") || !strings.Contains(out, "write:repository") {
		t.Errorf("it says\n%s", out)
	}
	if out := fenceline(t, "doctor", "statuses", "--config", filepath.Join(dir, "absent.yaml")).out; !strings.Contains(out, "absent.yaml") {
		t.Errorf("it says\n%s", out)
	}
}
