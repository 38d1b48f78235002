// Package deploy_test holds what Prometheus and Grafana are given to the metrics that there are and to the documents.
package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/metrics"
	"go.yaml.in/yaml/v3"
)

// rule is an alert of alerts.yml.
type rule struct {
	Alert       string
	Expr        string
	Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) < 10 {
		t.Fatalf("alerts.yml has %d rules", len(out))
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEveryAlertHasASection: an alert names the section of docs/operations.md that says what to do, and that speaks of it.
func TestEveryAlertHasASection(t *testing.T) {
	sections := map[string]string{}
	for section := range strings.SplitSeq(read(t, "../docs/operations.md"), "\n#") {
		title, text, _ := strings.Cut(strings.TrimLeft(section, "# "), "\n")
		anchor := regexp.MustCompile("[^a-z0-9 -]").ReplaceAllString(strings.ToLower(title), "")
		sections["docs/operations.md#"+strings.ReplaceAll(anchor, " ", "-")] = text
	}
	for _, r := range rules(t) {
		if text, there := sections[r.Annotations["runbook"]]; !there {
			t.Errorf("%s names the section %q, which is not there", r.Alert, r.Annotations["runbook"])
		} else if !strings.Contains(text, "`"+r.Alert+"`") {
			t.Errorf("the section %s says nothing of %s", r.Annotations["runbook"], r.Alert)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says not what it is about", r.Alert)
		}
	}
}

// series is how expressions name a metric of this program; what a histogram has of its own is cut off.
var series = regexp.MustCompile(`\b(fenceline_[a-z_]+)\b`)

// unknown lists the metrics of an expression that the program doesn't have.
func unknown(expr string) []string {
	var out []string
	for _, name := range series.FindAllString(expr, -1) {
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if !slices.Contains(metrics.Names(), base) && !slices.Contains(metrics.Names(), name) {
			out = append(out, name)
		}
	}
	return out
}

// TestMetricsOfRulesAndBoardAreDocumented: every metric is in docs/metrics.md, and rules and board ask for no other.
func TestMetricsOfRulesAndBoardAreDocumented(t *testing.T) {
	page := read(t, "../docs/metrics.md")
	for _, name := range metrics.Names() {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/metrics.md has no %s", name)
		}
	}
	for _, r := range rules(t) {
		if names := unknown(r.Expr); len(names) > 0 {
			t.Errorf("%s looks at %v, which nobody tells", r.Alert, names)
		}
	}
	exprs := boardExprs(t)
	if len(exprs) < 30 {
		t.Errorf("the board has %d expressions", len(exprs))
	}
	for _, e := range exprs {
		if names := unknown(e); len(names) > 0 {
			t.Errorf("the board asks for %v, which nobody tells", names)
		}
	}
}

// boardExprs are the expressions of the board's panels.
func boardExprs(t *testing.T) []string {
	t.Helper()
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &board); err != nil {
		t.Fatal(err)
	}
	var out []string
	seen := map[int]bool{}
	for _, p := range board.Panels {
		if seen[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q: each has a number of its own, and a title", p.ID, p.Title)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	return out
}

// promtool runs it in this folder.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: scripts/prometheus installs it (Debian: apt-get install prometheus)")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestEveryRoleOfComposeIsScraped where it listens: the profile observe has no other configuration.
func TestEveryRoleOfComposeIsScraped(t *testing.T) {
	config := read(t, "prometheus.yml")
	names := strings.Split(regexp.MustCompile(`(?m)names: \[(.+)\]$`).FindStringSubmatch(config)[1], ", ")
	roles := regexp.MustCompile(`(?m)^ +command: \[run, ([a-z]+)\]$`).FindAllStringSubmatch(read(t, "../compose.yaml"), -1)
	if len(roles) < 5 {
		t.Fatalf("compose.yaml runs %d roles", len(roles))
	}
	for _, r := range append(roles, []string{"", "node"}) {
		if !slices.Contains(names, r[1]) {
			t.Errorf("prometheus.yml scrapes %v, and no %s", names, r[1])
		}
	}
}

// TestPrometheusTakesThem: what Prometheus is given is right by its own tool.
func TestPrometheusTakesThem(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "check", "config", "prometheus.yml")
}

// TestAlertsFireForTheirCauses runs the rules over made-up series: each alert fires for its cause, and none without. Each has a test.
func TestAlertsFireForTheirCauses(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yml")
	tests := read(t, "alerts_test.yml")
	_, well, _ := strings.Cut(tests, "- name: all is well\n")
	well, _, _ = strings.Cut(well, "- name: ")
	for _, r := range rules(t) {
		if !strings.Contains(well, "alertname: "+r.Alert+"}") {
			t.Errorf("no test has %s be silent while all is well", r.Alert)
		}
		for _, metric := range series.FindAllString(r.Expr, -1) {
			if !strings.Contains(well, metric) {
				t.Errorf("while all is well %s has no %s to look at", r.Alert, metric)
			}
		}
		if !regexp.MustCompile(`alertname: ` + r.Alert + `\n +exp_alerts`).MatchString(tests) {
			t.Errorf("no test has %s fire", r.Alert)
		}
	}
}

// TestBoardAsksWhatPrometheusUnderstands has Prometheus parse every expression of the board, as rules of their own.
func TestBoardAsksWhatPrometheusUnderstands(t *testing.T) {
	var all []map[string]string
	for _, e := range boardExprs(t) {
		e = strings.NewReplacer("$__rate_interval", "5m", "$fleet", ".*").Replace(e)
		all = append(all, map[string]string{"alert": "Board", "expr": e, "for": strings.Repeat("1", 1+len(all)%9) + "s"})
	}
	out, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "board", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/board.yml"
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", "--lint=none", path)
}
