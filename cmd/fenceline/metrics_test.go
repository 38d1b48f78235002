package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/metrics"
)

// tells waits until a page of metrics has lines that begin so.
func tells(t *testing.T, health string, lines ...string) {
	t.Helper()
	page := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the metrics were\n%s", page)
		}
	})
	for _, line := range lines {
		queuetest.Eventually(t, line, func() bool {
			_, page = get(t, "http://"+health+"/metrics")
			return strings.Contains(page, "\n"+line)
		})
	}
}

// TestUpTellsWhatAlertsLookAt: of what is missing, what is wrong and what waits.
func TestUpTellsWhatAlertsLookAt(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(settings.StateVariable, filepath.Join(dir, "state"))
	health, until := free(t), time.Now().Add(time.Hour)
	cert, key := ownCertificate(t, dir, "producer.example.com", until)
	start(t, "fenceline status", append(upArgs(t, dir), "--health-listen", health, "--tls-cert-file", cert, "--tls-key-file", key)...)
	tells(t, health,
		`fenceline_controller_acting 1`, `fenceline_ready{role="producer"} 1`, `fenceline_ready{role="console"} 1`, `fenceline_ready{role="builder"} 0`, `fenceline_ready{role="distributor"} 0`,
		`fenceline_builder_buildkitd_up 0`, `fenceline_node_engine_up 0`, `fenceline_state_free_bytes `, `fenceline_dead_letters 0`, `fenceline_stream_bytes{stream="fenceline-requests"} `,
		`fenceline_stream_limit_bytes{full="refuses",stream="fenceline-requests"} `, `fenceline_jetstream_storage_bytes `, `fenceline_nats_errors_total{class="full",role="producer"} 0`,
		`fenceline_certificate_end_timestamp_seconds{certificate="webhooks",role="producer"} `+strconv.FormatFloat(float64(until.Unix()), 'g', -1, 64)+"\n", `fenceline_pipeline_file_refused 0`,
	)
	if s := fenceline(t, "submit", "base", "--commit", commit); s.status != 0 {
		t.Fatalf("asked for a build: %+v", s)
	}
	clitest.Write(t, filepath.Join(dir, "fenceline.yaml"), "version: nonsense\n")
	tells(t, health, `fenceline_queue_requests{pipeline="base"} 1`, `fenceline_queue_oldest_age_seconds{pipeline="base"} `, `fenceline_pipeline_file_refused 1`, `fenceline_pipeline_file_loads_total{outcome="refused"} 1`)
}

// TestMetricsPageIsCurrent compares the table in docs/metrics.md with what the code declares, or writes it with -update.
func TestMetricsPageIsCurrent(t *testing.T) {
	const begin, end = "<!-- made of the code by `make reference` -->\n", "<!-- end -->\n"
	page := readDoc(t, "docs/metrics.md")
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("docs/metrics.md has no place for the table: %s and %s", begin, end)
	}
	clitest.Golden(t, "../../docs/metrics.md", before+begin+metrics.Page()+end+after)
}
