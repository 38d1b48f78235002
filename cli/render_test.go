package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
)

// TestRenderSaysWhenSchedulesCome beside their expressions, in their zones.
func TestRenderSaysWhenSchedulesCome(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fenceline.yaml")
	clitest.Write(t, file, goodPipelines+"    schedule: [{cron: '0 3 * * 1', time_zone: Asia/Tokyo}]\n")
	out := done(t, "render", "base", "--config", file)
	if !regexp.MustCompile(`cron: 0 3 \* \* 1 # next: Mon 20\d\d-\d\d-\d\d 03:00 JST\n`).MatchString(out) {
		t.Errorf("it has no time:\n%s", out)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	clitest.Write(t, again, out)
	if s := fenceline(t, "lint", again); s.status != ExitDone {
		t.Errorf("what it prints is refused: %+v", s)
	}
}

func TestRender(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "fenceline.yaml")
	t.Setenv("SITE_REGISTRY", "registry.site.example.com")
	clitest.Write(t, filepath.Join(dir, "hook"), "a-secret-for-webhooks\n")
	clitest.Write(t, file, "defaults: {timeout: 45m}\n"+strings.Replace(goodPipelines, "registry.example.com", "${env:SITE_REGISTRY}", 1)+
		"    webhook: {secret_file: hook}\n  - {name: other, repository: 'https://git.example.com/o.git', image: example.com/o}\n")
	out := done(t, "render", "base", "--config", file)
	for _, want := range []string{"version: 1\n", "- name: base\n", "image: registry.site.example.com/exampleco/base\n", "timeout: 45m\n", "retry_for: 6h\n", "branch: main\n", "secret_file: hook\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("it has no %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "other") || strings.Contains(out, "a-secret") {
		t.Errorf("it has too much:\n%s", out)
	}
	var all struct {
		Pipelines []struct {
			Name string `json:"name"`
		} `json:"pipelines"`
	}
	if err := json.Unmarshal([]byte(done(t, "render", "--config", file, "-o", "json")), &all); err != nil || len(all.Pipelines) != 2 {
		t.Errorf("%v: %+v", err, all)
	}
	if s := fenceline(t, "render", "bsae", "--config", file); s.status != ExitFailed || !strings.Contains(s.err, `did you mean "base"?`) {
		t.Errorf("%+v", s)
	}
	if s := fenceline(t, "render", "--config", dir); s.status != ExitUsage {
		t.Errorf("%+v", s)
	}
	again := filepath.Join(dir, "again.yaml")
	clitest.Write(t, again, out)
	if s := fenceline(t, "lint", again); s.status != ExitDone {
		t.Errorf("what it prints is refused: %+v", s)
	}
}
