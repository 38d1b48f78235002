package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/console/oidc/oidctest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

// TestDurability asks real servers' monitoring.
func TestDurability(t *testing.T) {
	for name, test := range map[string]struct {
		always bool
		says   string
	}{
		"synced before the ack": {true, ""},
		"synced later":          {false, "sync_interval: always"},
	} {
		t.Run(name, func(t *testing.T) {
			s := queuetest.Start(t, func(o *server.Options) {
				o.HTTPHost, o.HTTPPort, o.SyncAlways = "127.0.0.1", server.RANDOM_PORT, test.always
			})
			c := (&doctor{monitor: "http://" + s.Server().MonitorAddr().String()}).checkDurable(t.Context())
			if (c.Problem == "") != test.always || !strings.Contains(c.Problem, test.says) {
				t.Errorf("%+v", c)
			}
		})
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	withPassword := strings.Replace(other.URL, "//", "//ann:pass-word@", 1)
	for _, url := range []string{withPassword, "http://ann:pass-word@127.0.0.1:1", ":"} {
		if c := (&doctor{monitor: url}).checkDurable(t.Context()); c.Problem == "" || c.Found != "" || strings.Contains(c.Problem, "pass-word") {
			t.Errorf("%s: %+v", url, c)
		}
	}
}

// TestDoctor finds NATS without streams wanting, and says so to programs too.
func TestDoctor(t *testing.T) {
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	for _, declared := range []bool{false, true} {
		if declared {
			s.Client(t)
		}
		got := fenceline(t, "doctor", "controller", "-o", "json")
		var found []checked
		if err := json.Unmarshal([]byte(got.out), &found); err != nil || len(found) != 2 {
			t.Fatalf("%v: %+v", err, got)
		}
		if found[0].OK != declared || (got.status == ExitDone) != declared || (found[0].Problem == "") != declared {
			t.Errorf("declared %v: %+v", declared, got)
		}
	}
}

// TestDoctorMissesTheBucketOfTriggers where the installation is from before there were any.
func TestDoctorMissesTheBucketOfTriggers(t *testing.T) {
	c := installation(t)
	if out := fenceline(t, "doctor", "producer").out; !strings.Contains(out, "schedules, polls and bases is there") {
		t.Errorf("it is there:\n%s", out)
	}
	queuetest.Must(t, queuetest.JetStream(t, c).DeleteKeyValue(t.Context(), c.Space().TriggersBucket()))
	if out := fenceline(t, "doctor", "producer").out; !strings.Contains(out, "PROBLEM") || !strings.Contains(out, "start a controller of this version") {
		t.Errorf("it is not:\n%s", out)
	}
}

// TestDoctorTriesEachMirror says of each of the node's own mirrors whether it answers, and what keeps it from that.
func TestDoctorTriesEachMirror(t *testing.T) {
	well := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer well.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	got := fenceline(t, "doctor", "distributor", "--nats", "nats://127.0.0.1:1", "--mirror", well.URL, "--mirror", gone.URL, "-o", "json")
	var found []checked
	if err := json.Unmarshal([]byte(got.out), &found); err != nil || len(found) < 2 {
		t.Fatalf("%v: %+v", err, got)
	}
	found = found[len(found)-2:]
	if !found[0].OK || found[0].What != "mirror "+well.URL {
		t.Errorf("one that answers: %+v", found[0])
	}
	if found[1].OK || found[1].What != "mirror "+gone.URL || !strings.Contains(found[1].Problem, "nobody listens there") {
		t.Errorf("one that is gone: %+v", found[1])
	}
	got = fenceline(t, "doctor", "distributor", "--nats", "nats://127.0.0.1:1", "--pull", "load", "--mirror-back-off", "3s")
	if !strings.Contains(got.out, "--pull load uses none") {
		t.Errorf("limits of no mirror: %+v", got)
	}
}

// TestDoctorAsksTheProviderOfSignIns by the settings of a console, from its file and variables.
func TestDoctorAsksTheProviderOfSignIns(t *testing.T) {
	at := oidctest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "console.yaml")
	clitest.Write(t, filepath.Join(dir, "secret"), "s3cr3t-of-the-client\n")
	clitest.Write(t, file, "nats: nats://127.0.0.1:1\noidc-issuer-url: "+at.URL+"\noidc-client-id: fenceline\noidc-client-secret-file: secret\noidc-operator-groups:\n  - cn=Ops,dc=example\n")
	t.Setenv("FENCELINE_CONSOLE_URL", "https://console.example.com")
	got := fenceline(t, "doctor", "console", "--settings", file)
	if !strings.Contains(got.out, at.URL+" answers; asked for are openid, profile, email, groups, offline_access") || !strings.Contains(got.out, "while the OpenID Connect provider is away nobody can sign in") {
		t.Errorf("doctor says\n%s%s", got.out, got.err)
	}
	at.Away(true)
	if got := fenceline(t, "doctor", "console", "--settings", file); !strings.Contains(got.out, "PROBLEM  OpenID Connect provider") || strings.Contains(got.out, "s3cr3t") {
		t.Errorf("of one that is away it says\n%s%s", got.out, got.err)
	}
	t.Setenv("FENCELINE_CONSOLE_URL", "http://console.example.com")
	if got := fenceline(t, "doctor", "console", "--settings", file); !strings.Contains(got.out, "--console-url") {
		t.Errorf("of a wrong address it says\n%s%s", got.out, got.err)
	}
}
