package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/freeport"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/standalone"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// TestRolesRunApart starts each role by itself, asks whether it is ready, and stops it.
func TestRolesRunApart(t *testing.T) {
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	dir := t.TempDir()
	config := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, config, goodPipelines)
	clitest.Write(t, filepath.Join(dir, "token"), "the-token-of-the-api\n")
	none := "unix://" + filepath.Join(dir, "none.sock")
	for _, test := range []struct {
		name  string
		args  []string
		ready int
		says  string
	}{
		{"producer", []string{"--config", config, "--listen", "127.0.0.1:0", "--token-file", filepath.Join(dir, "token")}, http.StatusOK, ""},
		{"controller", []string{"--name", "c1"}, http.StatusOK, ""},
		{"statuses", []string{"--config", config}, http.StatusOK, ""},
		{"console", []string{"--console-tokens-file", filepath.Join(dir, "console-tokens"), "--listen", "127.0.0.1:0"}, http.StatusOK, ""},
		{"builder", []string{"--name", "b1", "--buildkit", none}, http.StatusServiceUnavailable, "none.sock"},
		{"distributor", []string{"--fleet", "production", "--node", "n1", "--label", "rack=a", "--docker-host", none}, http.StatusServiceUnavailable, "none.sock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			health := free(t)
			log, stop := start(t, `"running"`, append([]string{"run", test.name, "--health-listen", health}, test.args...)...)
			status, answer := 0, ""
			for patience := time.Now().Add(time.Minute); status != test.ready || !strings.Contains(answer, test.says); {
				if status, answer = get(t, "http://"+health+"/readyz"); time.Now().After(patience) {
					t.Fatalf("readiness is %d, %s", status, answer)
				}
			}
			if status, answer := get(t, "http://"+health+"/healthz"); status != http.StatusOK {
				t.Errorf("health is %d, %s", status, answer)
			}
			if status := stop(); status != cli.ExitDone {
				t.Errorf("it ended with %d: %s", status, log)
			}
			if test.name == "producer" {
				hidden(t, log.String(), filepath.Join(dir, "token"))
			}
		})
	}
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	address, err := freeport.Of("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// TestRunRefuses says what is wrong with how a role is started, and which flag mends it.
func TestRunRefuses(t *testing.T) {
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	dir := t.TempDir()
	config := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, config, goodPipelines)
	clitest.Write(t, filepath.Join(dir, "empty"), "\n")
	taken, err := standalone.Listen(standalone.ServiceHTTP, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"a port in use":       {[]string{"producer", "--config", config, "--listen", taken.Addr().String()}, cli.ExitFailed, "--listen"},
		"a file and a folder": {[]string{"producer", "--config", config, "--pipelines", dir}, cli.ExitUsage, "both given"},
		"a folder for a file": {[]string{"producer", "--config", dir}, cli.ExitUsage, "name it with --pipelines"},
		"a file for a folder": {[]string{"producer", "--pipelines", config}, cli.ExitUsage, "name it with --config"},
		"a bad folder":        {[]string{"producer", "--pipelines", t.TempDir()}, cli.ExitFailed, "has no file whose name ends in .yaml"},
		"an empty token":      {[]string{"producer", "--config", config, "--listen", "127.0.0.1:0", "--token-file", filepath.Join(dir, "empty")}, cli.ExitFailed, "is empty"},
		"a bad node name":     {[]string{"distributor", "--node", "Node_1"}, cli.ExitUsage, "Node_1"},
		"a bad fleet name":    {[]string{"distributor", "--node", "n", "--fleet", "a.b"}, cli.ExitUsage, "a.b"},
		"a bad label":         {[]string{"distributor", "--label", "x"}, cli.ExitUsage, "NAME=VALUE"},
		"no such logins":      {[]string{"distributor", "--docker-config", filepath.Join(dir, "none")}, cli.ExitFailed, "--docker-config"},
		"health port in use":  {[]string{"controller", "--health-listen", taken.Addr().String()}, cli.ExitFailed, "--health-listen"},
		"no such CA file":     {[]string{"controller", "--ca-file", "none.pem"}, cli.ExitFailed, "none.pem"},
		"bad tokens":          {[]string{"console", "--console-tokens-file", filepath.Join(dir, "fenceline.yaml"), "--listen", "127.0.0.1:0"}, cli.ExitFailed, "line 1"},
		"no tokens":           {[]string{"console"}, cli.ExitUsage, "--console-tokens-file"},
		"no sign-in":          {[]string{"console"}, cli.ExitUsage, "--oidc-issuer-url"},
		"no client":           {[]string{"console", "--oidc-issuer-url", "https://id.example.com"}, cli.ExitFailed, "--oidc-client-id"},
		"a plain issuer":      {[]string{"console", "--oidc-issuer-url", "http://id.example.com"}, cli.ExitFailed, "--oidc-issuer-url"},
		"no issuer":           {[]string{"console", "--oidc-client-id", "fenceline"}, cli.ExitFailed, "--oidc-issuer-url"},
		"an address alone":    {[]string{"console", "--console-tokens-file", filepath.Join(dir, "console-tokens"), "--console-url", "https://c.example.com"}, cli.ExitFailed, "--oidc-issuer-url"},
		"no groups":           {[]string{"console", "--oidc-issuer-url", "https://id.example.com", "--oidc-client-id", "x", "--console-url", "https://c.example.com"}, cli.ExitFailed, "--oidc-operator-groups, --oidc-viewer-groups"},
		"an empty group":      {[]string{"console", "--oidc-viewer-groups", "a,,b"}, cli.ExitUsage, "it is empty"},
		"no pipeline file":    {[]string{"statuses", "--config", "none.yaml"}, cli.ExitFailed, "none.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			got := fenceline(t, append([]string{"run"}, test.args...)...)
			if got.status != test.status || !strings.Contains(got.err, test.says) {
				t.Errorf("%+v, want status %d and %q", got, test.status, test.says)
			}
		})
	}
}

// TestRolesWaitForNATS starts roles before NATS, and without the streams that others declare.
func TestRolesWaitForNATS(t *testing.T) {
	s := queuetest.Start(t)
	s.Stop()
	t.Setenv("FENCELINE_NATS", s.URL())
	log, stop := start(t, "trying again", "run", "controller", "--name", "c1")
	if said := log.String(); !strings.Contains(said, s.URL()) || strings.Contains(said, `"running"`) {
		t.Errorf("without NATS it says %s", said)
	}
	again := log.Await(`"running"`)
	s.Resume(t)
	select {
	case <-again:
	case <-time.After(time.Minute):
		t.Fatalf("it doesn't run with NATS: %s", log)
	}
	if status := stop(); status != cli.ExitDone {
		t.Errorf("it ended with %d: %s", status, log)
	}
}

// TestStopWhileNATSIsWaitedFor: who is told to stop has not failed.
func TestStopWhileNATSIsWaitedFor(t *testing.T) {
	t.Setenv("FENCELINE_NATS", "nats://127.0.0.1:1")
	log, stop := start(t, "trying again", "run", "controller", "--name", "c1")
	if status := stop(); status != cli.ExitDone {
		t.Errorf("it ended with %d: %s", status, log)
	}
}

// TestNATSThatIsNotThere tells waiting that helps from waiting that doesn't.
func TestNATSThatIsNotThere(t *testing.T) {
	s := queuetest.Start(t, func(o *server.Options) { o.Username, o.Password = "somebody", "else" })
	for name, test := range map[string]struct {
		url   string
		waits bool
		says  string
	}{
		"gone":           {"nats://127.0.0.1:1", true, "check the address and that the server runs"},
		"not letting in": {s.URL(), false, "the server wants a user"},
	} {
		t.Run(name, func(t *testing.T) {
			n, log := settings.NATS{URL: test.url}, new(clitest.Output)
			const patience = 300 * time.Millisecond // one more try
			_, err := reach(t.Context(), &n, wiring{caller: callerOf(settings.RoleBuilder, "b1")}, patience, zerolog.New(log))
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(log.String(), "trying again") != test.waits {
				t.Errorf("it ends with %v and logs %s", err, log)
			}
		})
	}
}

// TestARoleRunsFromItsSettings starts a role that is told nothing else, and has doctor look at
// the machine by the same file.
func TestARoleRunsFromItsSettings(t *testing.T) {
	s := queuetest.Start(t)
	s.Client(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "controller.yaml")
	clitest.Write(t, file, "nats: "+s.URL()+"\nname: c1\nhealth-listen: 127.0.0.1:0\n")
	_, stop := start(t, `"running"`, "run", "controller", "--settings", file)
	if status := stop(); status != cli.ExitDone {
		t.Errorf("it ended with %d", status)
	}
	done(t, "doctor", "controller", "--settings", file)
	broken := filepath.Join(dir, "builder.yaml")
	clitest.Write(t, broken, "nats: "+s.URL()+"\nbuildkit: unix:///none.sock\nslots: x\n")
	if got := fenceline(t, "doctor", "builder", "--settings", broken); got.status != cli.ExitFailed || !strings.Contains(got.err, broken+":3: slots: ") {
		t.Errorf("a broken file: %+v", got)
	}
	clitest.Write(t, broken, "nats: "+s.URL()+"\nbuildkit: unix:///none.sock\ndocker-config: missing\n")
	if got := fenceline(t, "doctor", "builder", "--settings", broken); got.status != cli.ExitFailed || !strings.Contains(got.out, filepath.Join(dir, "missing")) {
		t.Errorf("logins that are missing: %+v", got)
	}
	up := filepath.Join(dir, "up.yaml")
	clitest.Write(t, up, "state: there\n")
	if got := fenceline(t, "doctor", "--settings", up); got.status != cli.ExitFailed || !strings.Contains(got.out, filepath.Join(dir, "there")) {
		t.Errorf("an up that isn't there: %+v", got)
	}
}
