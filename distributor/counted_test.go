package distributor_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/metrics"
)

// TestWhatAnAgentDoesIsCounted: pulls, trials, what is applied, heartbeats; and how the node is.
func TestWhatAnAgentDoesIsCounted(t *testing.T) {
	all, applier := metrics.New("v1"), &fakeApplier{}
	counted := func(w *world, lines ...string) {
		t.Helper()
		page := httptest.NewRecorder()
		all.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, line := range lines {
			if !strings.Contains(page.Body.String(), "\n"+line+"\n") {
				w.t.Errorf("%s is not told:\n%s", line, page.Body)
			}
		}
	}
	run(t, func(w *world) {
		w.metrics, w.applier = all.Distributor(), applier
		w.engine.Gone[img("9")] = true
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: canary("1", "pre-start")})
		counted(w, `fenceline_pulls_total{outcome="done",way="engine"} 1`, `fenceline_pull_bytes_total{way="engine"} 1000`, `fenceline_pull_seconds_count{way="engine"} 1`,
			`fenceline_trials_total{outcome="passed"} 1`, `fenceline_node_engine_up 1`, `fenceline_node_wanted_images 1`, `fenceline_node_present_images 1`, `fenceline_applies_total{outcome="done"} 0`)
		w.announce(messages.FleetRecord{Epoch: 1, Current: fleetImage("1"), Preload: preload("9")})
		counted(w, `fenceline_applies_total{outcome="done"} 1`, `fenceline_pulls_total{outcome="failed",way="engine"} 1`, `fenceline_node_wanted_images 2`, `fenceline_node_present_images 1`)
		applier.do(func() { applier.found = "another" })
		after(10 * time.Minute)
		counted(w, `fenceline_applies_total{outcome="mended"} 1`, `fenceline_applies_total{outcome="failed"} 0`)
		applier.do(func() { applier.fails = "read-only file system" })
		w.announce(messages.FleetRecord{Epoch: 2, Current: fleetImage("2"), Previous: fleetImage("1")})
		counted(w, `fenceline_applies_total{outcome="failed"} 1`)
		w.engine.Do(func(f *enginetest.Fake) { f.Down = true })
		after(time.Minute)
		counted(w, `fenceline_node_engine_up 0`, `fenceline_heartbeats_total{outcome="failed"} 0`)
		w.setGone(true)
		after(time.Minute)
		page := httptest.NewRecorder()
		all.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if strings.Contains(page.Body.String(), `fenceline_heartbeats_total{outcome="failed"} 0`) {
			t.Error("no heartbeat is told to have failed")
		}
	})
}
