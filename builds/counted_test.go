package builds_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/metrics"
)

// counts waits until metrics tell lines.
func counts(t *testing.T, all *metrics.Registry, lines ...string) {
	t.Helper()
	for _, line := range lines {
		eventually(t, line, func() bool {
			w := httptest.NewRecorder()
			all.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return strings.Contains(w.Body.String(), "\n"+line+"\n")
		})
	}
}

// TestWhatBecomesOfAttemptsIsCounted, and what of builds.
func TestWhatBecomesOfAttemptsIsCounted(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	all := metrics.New("v1")
	w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		switch {
		case j.Request.Pipeline.Name == "broken":
			return &messages.BuildFailed{Attempt: j.Attempt, Failure: messages.Failure{Class: messages.FailureHooks, Reason: "no shebang", Fix: "write one"}}, nil
		case j.Attempt == 1:
			return nil, errAway
		case j.Attempt == 2:
			return nil, &builds.LaterError{Err: errors.New("not yet"), After: 10 * time.Millisecond}
		}
		return succeed(ctx, j)
	})
	w.Metrics = all.Builder()
	consume(t, c, w)
	ended(t, c, submit(t, c, request("base", 1)).Build)
	ended(t, c, submit(t, c, request("broken", 1)).Build)
	must(t, errorOf(queuetest.JetStream(t, c).Publish(within(t), c.Space().RequestSubject("base"), []byte("{"))))
	counts(t, all,
		`fenceline_build_attempts_total{outcome="ended"} 2`, `fenceline_build_attempts_total{outcome="failed"} 1`, `fenceline_build_attempts_total{outcome="returned"} 1`,
		`fenceline_build_attempts_total{outcome="buried"} 1`, `fenceline_build_attempts_total{outcome="lease_lost"} 0`, `fenceline_build_wait_seconds_count 2`,
		`fenceline_builds_total{class="none",outcome="succeeded",pipeline="base"} 1`, `fenceline_builds_total{class="hooks",outcome="failed",pipeline="broken"} 1`,
		`fenceline_build_seconds_count{outcome="ended"} 2`)
}
