package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/producer"
)

// TestExplainHook runs it over a pipeline file whose secret is on another machine.
func TestExplainHook(t *testing.T) {
	dir := t.TempDir()
	config, push, request := filepath.Join(dir, "fenceline.yaml"), filepath.Join(dir, "push.json"), filepath.Join(dir, "request")
	for file, text := range map[string]string{
		config: `version: 1
pipelines:
  - name: base
    repository: https://git.example.com/ops/base.git
    branches: [main, "release/*"]
    image: registry.example.com/exampleco/base
    webhook: {secret_file: elsewhere}
  - name: tools
    repository: https://git.example.com/ops/tools.git
    image: registry.example.com/exampleco/tools
`,
		request: "POST /hooks/githb HTTP/1.1\nContent-Type: application/json\n\n{}",
		push:    `{"ref":"refs/heads/release/1","before":"` + commit + `","after":"` + commit + `","repository":{"clone_url":"https://git.example.com/ops/base.git"},"pusher":{"name":"\u001b[31mann"}}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"explain-hook", push, "--config", config, "--forge", "github"}
	got := fenceline(t, args...)
	if got.status != ExitDone {
		t.Fatalf("%+v", got)
	}
	out := got.out
	for _, want := range []string{
		"forge: github", "assumed, as the file doesn't have it: header X-GitHub-Event: push", "signature: not checked: header X-Hub-Signature-256 is missing",
		"push: release/1 of https://git.example.com/ops/base.git, 0123456789ab → 0123456789ab", "  base: BUILT: branch release/*",
		"  tools: not built: it takes no webhooks", "would be built: base",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it doesn't say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("a payload orders the terminal about: %q", out)
	}
	got = fenceline(t, append(args, "-o", "json")...)
	var e producer.Explanation
	if err := json.Unmarshal([]byte(got.out), &e); err != nil || got.status != ExitDone || len(e.WouldBuild) != 1 || e.Pushes[0].Ref != "refs/heads/release/1" {
		t.Errorf("as JSON: %v\n%+v", err, got)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a folder":         {[]string{"explain-hook", push, "--pipelines", dir, "--forge", "github"}, ExitDone, ""},
		"both":             {[]string{"explain-hook", push, "--pipelines", dir, "--config", config}, ExitUsage, "--config and --pipelines are both given"},
		"no file":          {[]string{"explain-hook", filepath.Join(dir, "none"), "--config", config}, ExitUsage, "name a file with a webhook, or - for standard input"},
		"no forge":         {[]string{"explain-hook", push, "--config", config}, ExitUsage, "name the forge (github, gitlab, gitea, forgejo, gogs, bitbucket, generic) with --forge"},
		"a path's forge":   {[]string{"explain-hook", request, "--config", config}, ExitUsage, `its path, /hooks/githb, names no forge, did you mean "github"?`},
		"a strange forge":  {[]string{"explain-hook", push, "--config", config, "--forge", "githb"}, ExitFailed, `there is no forge "githb", did you mean "github"?`},
		"no pipeline file": {[]string{"explain-hook", push, "--config", push + "x"}, ExitFailed, "no such file"},
		"a bad header":     {[]string{"explain-hook", push, "--config", config, "--header", "X"}, ExitUsage, "is not 'NAME: VALUE'"},
		"no webhook":       {[]string{"explain-hook", config, "--config", config, "--forge", "github"}, ExitFailed, "body is not a JSON payload"},
	} {
		if s := fenceline(t, c.args...); s.status != c.code || !strings.Contains(s.err, c.want) {
			t.Errorf("%s: %+v; want %d saying %q", name, s, c.code, c.want)
		}
	}
}
