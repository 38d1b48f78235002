package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// prometheus is a Prometheus with the rules of deploy/ that scrapes the roles of an installation.
type prometheus struct{ url string }

func newPrometheus(t *testing.T, a *apart) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is missing: scripts/prometheus installs it (Debian: apt-get install prometheus)")
	}
	dir := t.TempDir()
	rules, err := filepath.Abs(filepath.Join(root, "deploy", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, r := range a.roles {
		targets = append(targets, strings.TrimPrefix(r.health, "http://"))
	}
	listed, err := json.Marshal(targets) // YAML, too
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - job_name: fenceline\n    static_configs: [{targets: %s}]\n", rules, listed)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := site.Address("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start(t, site.Program{Path: path, Dir: dir, Args: []string{
		"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
	}})
	return &prometheus{"http://" + address}
}

// get reads what Prometheus's API says of something.
func (p *prometheus) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return err
	}
	status, body, err := ask(req)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("it answers %d, %s", status, body)
	}
	return json.Unmarshal([]byte(body), v)
}

// awaitTargets waits until Prometheus has scraped so many roles, each without an error.
func (p *prometheus) awaitTargets(t *testing.T, n int) {
	t.Helper()
	await(t, "targets that are up", func(ctx context.Context) error {
		var answer struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError, ScrapeURL string }
			}
		}
		if err := p.get(ctx, "/api/v1/targets", &answer); err != nil {
			return err
		}
		up := 0
		for _, target := range answer.Data.ActiveTargets {
			if target.Health == "up" && target.LastError == "" {
				up++
			}
		}
		if up != n {
			return fmt.Errorf("%d of %d are up: %+v", up, n, answer.Data.ActiveTargets)
		}
		return nil
	})
}

// awaitAlert waits until an alert fires.
func (p *prometheus) awaitAlert(t *testing.T, name string) {
	t.Helper()
	await(t, name+" to fire", func(ctx context.Context) error {
		var answer struct {
			Data struct {
				Alerts []struct {
					Labels map[string]string
					State  string
				}
			}
		}
		if err := p.get(ctx, "/api/v1/alerts", &answer); err != nil {
			return err
		}
		for _, a := range answer.Data.Alerts {
			if a.Labels["alertname"] == name && a.State == "firing" {
				return nil
			}
		}
		return fmt.Errorf("there are %+v", answer.Data.Alerts)
	})
}

// awaitMetric waits until the role tells a metric whose line begins so and ends in another value than 0.
func (r *role) awaitMetric(t *testing.T, line string) {
	t.Helper()
	await(t, line, func(ctx context.Context) error {
		status, page, err := r.get(ctx, "/metrics")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("it answers %d, %w", status, err)
		}
		for told := range strings.SplitSeq(page, "\n") {
			if rest, ok := strings.CutPrefix(told, line); ok && strings.TrimSpace(rest) != "0" {
				return nil
			}
		}
		return fmt.Errorf("it tells\n%s", page)
	})
}

// TestMetrics has a real Prometheus look at every role while a push becomes a fleet's image: what each did is counted, all of it is
// documented, and an alert fires for a message that nobody can handle.
func TestMetrics(t *testing.T) {
	a := newApart(t, []pipeline{{name: "counted", fleet: fleetOf("apart")}})
	p := newPrometheus(t, a)
	p.awaitTargets(t, len(roles))
	a.flip(t, "counted", exporting("counted"))
	fleet := fleetOf("apart")
	a.must(t, "hold", fleet, "--reason", "to be counted")
	for role, lines := range map[string][]string{
		"producer":    {`fenceline_intake_requests_total{outcome="accepted",source=`, `fenceline_build_requests_total{outcome="new",pipeline="counted",reason="push"}`, "fenceline_intake_store_seconds_count", "fenceline_pipelines"},
		"builder":     {`fenceline_builds_total{class="none",outcome="succeeded",pipeline="counted"}`, `fenceline_build_step_seconds_count{step="push"}`, "fenceline_builder_buildkitd_up", "fenceline_builder_slots_free", "fenceline_build_pushed_bytes_total"},
		"distributor": {`fenceline_pulls_total{outcome="done",way="engine"}`, `fenceline_trials_total{outcome="passed"}`, "fenceline_node_engine_up", "fenceline_node_present_images"},
		"controller": {
			"fenceline_controller_acting", fmt.Sprintf("fenceline_flips_total{fleet=%q}", fleet), fmt.Sprintf("fenceline_fleet_present_nodes{fleet=%q}", fleet),
			fmt.Sprintf("fenceline_push_to_flip_seconds_count{fleet=%q}", fleet), fmt.Sprintf("fenceline_push_to_last_node_seconds_count{fleet=%q}", fleet),
			`fenceline_fence_calls_total{call="write",kind="natskv",outcome="done"}`, fmt.Sprintf("fenceline_fleet_hold_age_seconds{fleet=%q}", fleet), "fenceline_controller_decision_seconds_count",
			fmt.Sprintf(`fenceline_holds_total{by="person",fleet=%q}`, fleet), `fenceline_stream_bytes{stream="fenceline-requests"}`,
		},
	} {
		for _, line := range lines {
			a.roles[role].awaitMetric(t, line)
		}
		a.roles[role].documented(t)
	}
	c := a.server.Connect(t)
	_, err := c.Store(queuetest.Within(t), c.Space().RequestSubject("counted"), messages.Message{Body: []byte("no message")})
	queuetest.Must(t, err)
	a.roles["controller"].awaitMetric(t, "fenceline_dead_letters")
	p.awaitAlert(t, "FencelineDeadLetter")
}

// documented sees that all that a role tells has a meaning, in the answer and in docs/metrics.md.
func (r *role) documented(t *testing.T) {
	t.Helper()
	_, page, err := r.get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	doc := read(t, filepath.Join(root, "docs", "metrics.md"))
	families := regexp.MustCompile(`(?m)^# TYPE (fenceline_\S+) (\S+)$`).FindAllStringSubmatch(page, -1)
	if len(families) < 10 {
		t.Errorf("it tells %d metrics", len(families))
	}
	for _, f := range families {
		if !strings.Contains(doc, fmt.Sprintf("| `%s` | %s |", f[1], f[2])) || !strings.Contains(page, "# HELP "+f[1]+" ") {
			t.Errorf("the %s %s is not documented", f[2], f[1])
		}
	}
}
