package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// awaitNotReady waits until the role says what it can't reach. It is alive all the while: starting
// it again would not help.
func (r *role) awaitNotReady(t *testing.T, wants ...string) {
	t.Helper()
	await(t, "a role that is not ready", func(ctx context.Context) error {
		status, body, err := r.get(ctx, "/readyz")
		if err != nil {
			return err
		}
		for _, want := range wants {
			if status != http.StatusServiceUnavailable || !strings.Contains(body, want) {
				return fmt.Errorf("it answers %d, %s; want 503 and %q", status, body, want)
			}
		}
		return nil
	})
	if status, body, err := r.get(t.Context(), "/healthz"); err != nil || status != http.StatusOK {
		t.Errorf("it is not alive: %d, %s, %v", status, body, err)
	}
}

func (r *role) get(ctx context.Context, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.health+path, nil)
	if err != nil {
		return 0, "", err
	}
	return ask(req)
}

// TestReadiness takes from roles that run by themselves what each needs and gives it back: each says
// what it misses, is alive, and becomes ready by itself.
func TestReadiness(t *testing.T) {
	a := newApart(t, []pipeline{{name: "ready", fleet: fleetOf("apart")}})
	t.Run("JetStream", func(t *testing.T) {
		a.server.Change(func(o *server.Options) { o.JetStream = false })
		a.server.Restart(t)
		for _, name := range []string{"producer", "controller", "builder"} {
			a.roles[name].awaitNotReady(t, "JetStream")
		}
		a.roles["distributor"].awaitNotReady(t, "heartbeat", "JetStream is off")
		a.server.Change(func(o *server.Options) { o.JetStream = true })
		a.server.Restart(t)
		for _, r := range a.roles {
			r.awaitReady(t)
		}
	})
	t.Run("buildkitd", func(t *testing.T) {
		_ = a.buildkitd.Stop(grace) // its status is 1 even so
		a.roles["builder"].awaitNotReady(t, "buildkitd", "does not answer")
		a.startBuildkitd(t)
		a.roles["builder"].awaitReady(t)
	})
	a.flip(t, "ready", exporting("ready")) // all of them work again
	t.Run("the Docker engine", func(t *testing.T) {
		engine := newCut(t)
		engine.set(true)
		cut := a.run(t, "distributor", "--fleet", fleetOf("apart"), "--node", fleetOf("cut"), "--docker-host", "unix://"+engine.path)
		cut.awaitReady(t)
		engine.set(false)
		cut.awaitNotReady(t, "engine")
		engine.set(true)
		cut.awaitReady(t)
	})
}

// TestStop asks roles that run by themselves to end in the middle of their work: each ends with
// status 0, what was under way is done, and another controller takes over at once.
func TestStop(t *testing.T) {
	a := newApart(t, []pipeline{{name: "stop", fleet: fleetOf("apart")}})
	slow := exporting("slow")
	slow["Dockerfile"] += "RUN sleep 8\n" // long enough to be seen
	running := a.build(t, "stop", slow)
	a.awaitRunning(t, running)
	if err := a.roles["builder"].Stop(grace); err != nil {
		t.Errorf("the builder: %v", err)
	}
	if b := a.ended(t, running); b.State != "succeeded" || b.Attempt != 1 {
		t.Errorf("the build that the builder was stopped in ended as %+v", b)
	}
	next := a.run(t, "controller", "--name", "next", "--lease-ttl", "60s")
	next.awaitReady(t)
	if err := a.roles["controller"].Stop(grace); err != nil {
		t.Errorf("the controller: %v", err)
	}
	began := time.Now()
	await(t, "the other controller to act", func(context.Context) error {
		if !strings.Contains(next.Output(), `"acting"`) {
			return errors.New(next.Tail(5))
		}
		return nil
	})
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the other controller took over after %v: it waited for the lease", took)
	}
	a.awaitFence(t, a.ended(t, running).Image)
	for _, name := range []string{"distributor", "producer"} {
		if err := a.roles[name].Stop(grace); err != nil {
			t.Errorf("the %s: %v", name, err)
		}
	}
}
