package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// roles are the roles that run by themselves, in the order in which they are started here:
// those that declare streams first.
var roles = []string{"producer", "controller", "builder", "distributor"}

// apart is an installation whose roles run by themselves, over a NATS server, a registry and
// a buildkitd that are not fenceline's.
type apart struct {
	*stack
	server    *queuetest.Server // or nil, where the server is a test's own
	url       string            // of NATS
	roles     map[string]*role
	socket    string        // folder of the buildkitd's sockets
	buildkitd *site.Process // as last started
}

// role is one that runs by itself.
type role struct {
	*site.Process
	health string // URL
}

// newApart starts everything that the roles need, and all of them.
func newApart(t *testing.T, pipelines []pipeline) *apart {
	t.Helper()
	server := queuetest.Start(t)
	a := apartServers(t, server.URL(), pipelines)
	a.server = server
	a.startRoles(t)
	return a
}

// startRoles starts a buildkitd and one of each role, and waits until all are ready.
func (a *apart) startRoles(t *testing.T) {
	t.Helper()
	fleet := fleetOf("apart")
	args := map[string][]string{
		"producer":    {"--config", a.config(), "--listen", a.http},
		"controller":  {"--name", fleet, "--lease-ttl", "3s"},
		"builder":     {"--name", fleet, "--ack-wait", "5s", "--buildkit", a.startBuildkitd(t)},
		"distributor": {"--fleet", fleet, "--node", fleet},
	}
	for _, name := range roles {
		a.roles[name] = a.run(t, name, args[name]...)
	}
	for _, r := range a.roles {
		r.awaitReady(t)
	}
}

// apartServers starts everything that the roles need but NATS and their buildkitd.
func apartServers(t *testing.T, nats string, pipelines []pipeline) *apart {
	t.Helper()
	a := &apart{stack: fresh(t), url: nats, roles: map[string]*role{}}
	a.registry = newRegistry().address
	if err := a.configure(pipelines); err != nil {
		t.Fatal(err)
	}
	if err := a.bases(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(a.State, 0o700); err != nil {
		t.Fatal(err)
	}
	client := fmt.Sprintf(`{"nats":%q}`, nats) // for the commands
	if err := os.WriteFile(filepath.Join(a.State, "client.json"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// run starts a role.
func (a *apart) run(t *testing.T, name string, args ...string) *role {
	t.Helper()
	return a.runProgram(t, a.Program, name, args...)
}

// runProgram starts a role of a program.
func (a *apart) runProgram(t *testing.T, program, name string, args ...string) *role {
	t.Helper()
	health, err := site.Address("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", name, "--nats", a.url, "--health-listen", health}, args...)
	return &role{start(t, site.Program{Path: program, Dir: a.dir, Args: args}), "http://" + health}
}

// start starts a program that is asked to end with the test, and shows its output if that failed.
func start(t *testing.T, p site.Program) *site.Process {
	t.Helper()
	c, err := started.start(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(grace); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(p.Path)+" "+strings.Join(p.Args, " "), c.Tail(40))
		}
	})
	return c
}

// startBuildkitd starts a buildkitd, again at the same place, and returns its address. It takes
// connections a moment later, which is when the builder is ready.
func (a *apart) startBuildkitd(t *testing.T) string {
	t.Helper()
	if a.socket == "" {
		a.socket = shortDir(t)
		t.Cleanup(func() {
			if a.buildkitd != nil {
				_ = a.buildkitd.Stop(grace) // its status is 1 even so
			}
		})
	}
	address := "unix://" + filepath.Join(a.socket, "buildkitd.sock")
	c, err := started.start(site.Program{Path: tool("buildkitd"), Args: []string{
		"--root", filepath.Join(a.socket, "root"), "--addr", address, "--otel-socket-path", filepath.Join(a.socket, "otel.sock"),
		"--config", "/dev/null", "--containerd-worker=false", "--oci-worker=true", "--oci-worker-binary", tool("runc"), "--oci-worker-net=host",
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.buildkitd = c
	return address
}

func (r *role) awaitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("not ready in time"))
	defer cancel()
	if err := site.Ready(ctx, r.Process, r.health); err != nil {
		t.Fatal(err)
	}
}

// awaitLost waits until the role says, in its log and to who asks whether it is ready, that
// NATS is gone. It has to run on meanwhile.
func (r *role) awaitLost(t *testing.T) {
	t.Helper()
	await(t, "a role that says NATS is gone", func(ctx context.Context) error {
		select {
		case <-r.Done():
			t.Fatalf("it ended with status %d", r.ExitCode())
		default:
		}
		if !strings.Contains(r.Output(), "connection to NATS lost") {
			return fmt.Errorf("its log says\n%s", r.Tail(10))
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.health+"/readyz", nil)
		if err != nil {
			return err
		}
		status, body, err := ask(req)
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(body, "NATS")) {
			err = fmt.Errorf("it answers %d, %s; want 503 and a word about NATS", status, body)
		}
		return err
	})
}

// TestNATSGoneInTheMiddle takes NATS, in the middle of a build, from roles that run by
// themselves and gives it back: all of them survive and say so, what was accepted before and
// what was pushed afterwards reach the fleet, and nothing is answered 202 meanwhile.
func TestNATSGoneInTheMiddle(t *testing.T) {
	a := newApart(t, []pipeline{{name: "apart", fleet: fleetOf("apart"), extra: []string{"attempts: 20"}}})
	first := a.flip(t, "apart", exporting("first"))

	slow := exporting("second")
	slow["Dockerfile"] += "RUN sleep 8\n" // long enough to be seen
	running := a.build(t, "apart", slow)
	a.awaitRunning(t, running)
	a.server.Stop()
	for _, r := range a.roles {
		r.awaitLost(t)
	}
	got, err := a.send(t.Context(), a.pushHook(a.git.URL+"/apart.git", "refs/heads/main", strings.Repeat("b", 40)))
	if err != nil || got.status != http.StatusServiceUnavailable || !strings.Contains(got.Error, "send it again") {
		t.Errorf("without NATS a hook gets %+v, %v; want 503, a reason and a fix", got, err)
	}
	if said := fails(t, a.State, 1, "status"); !strings.Contains(said, a.server.URL()) {
		t.Errorf("without NATS status says %q, without its address", said)
	}
	a.server.Resume(t)
	for _, r := range a.roles {
		r.awaitReady(t)
		if !strings.Contains(r.Output(), "connected to NATS again") {
			t.Errorf("the log does not say that NATS is back:\n%s", r.Tail(20))
		}
	}

	second := a.ended(t, running)
	if second.State != "succeeded" {
		t.Fatalf("the build under way ended as %+v", second)
	}
	a.awaitFence(t, second.Image)
	third := a.flip(t, "apart", exporting("third"))
	a.exactly(t, map[string]bool{first.Build: true, second.Build: true, third.Build: true})
}
