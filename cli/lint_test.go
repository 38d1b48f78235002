package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
)

const goodPipelines = `version: 1
pipelines:
  - name: base
    repository: https://git.example.com/ops/base.git
    image: registry.example.com/exampleco/base
`

func TestLint(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]string
		status int
		says   []string
	}{
		"all well": {
			map[string]string{"fenceline.yaml": goodPipelines, "Dockerfile": "FROM scratch\n", "hooks/pre-running": "#!/bin/sh\ntrue\n"},
			ExitDone, []string{"fenceline.yaml", "Dockerfile", "hooks"},
		},
		"an unknown field":   {map[string]string{"fenceline.yaml": strings.Replace(goodPipelines, "image:", "imagge:", 1)}, ExitFailed, []string{"fenceline.yaml:5", "imagge"}},
		"a bad instruction":  {map[string]string{"Dockerfile": "FROM scratch\nRUNN true\n"}, ExitFailed, []string{"Dockerfile:2", "RUNN"}},
		"an empty file":      {map[string]string{"Dockerfile": ""}, ExitFailed, []string{"Dockerfile"}},
		"a hook's syntax":    {map[string]string{"hooks/pre-running": "#!/bin/sh\nif true; then\ntrue\n"}, ExitFailed, []string{"pre-running:2", "fi"}},
		"a stray hook":       {map[string]string{"hooks/pre-stage": "#!/bin/sh\n"}, ExitFailed, []string{"pre-staging"}},
		"nothing is there":   {nil, ExitFailed, []string{"nothing to check"}},
		"only a Dockerfile":  {map[string]string{"Dockerfile": "FROM scratch\n"}, ExitDone, []string{"checked"}},
		"several at a time":  {map[string]string{"Dockerfile": "NO\n", "hooks/x": "y"}, ExitFailed, []string{"Dockerfile:1", "hooks/x"}},
		"a broken YAML file": {map[string]string{"fenceline.yaml": "version: [\n"}, ExitFailed, []string{"fenceline.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range test.files {
				clitest.Write(t, filepath.Join(dir, file), content)
				if strings.HasPrefix(file, "hooks/") {
					if err := os.Chmod(filepath.Join(dir, file), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			s := fenceline(t, "lint", dir)
			if s.status != test.status {
				t.Errorf("status %d, want %d: %+v", s.status, test.status, s)
			}
			for _, want := range test.says {
				if !strings.Contains(s.out+s.err, want) {
					t.Errorf("%+v, without %q", s, want)
				}
			}
			if len(test.files) == 0 {
				return
			}
			var l linted
			js := fenceline(t, "lint", dir, "-o", "json")
			if err := json.Unmarshal([]byte(js.out), &l); err != nil || js.status != test.status || len(l.Checked) != count(test.files) {
				t.Errorf("as JSON: %v, %+v", err, js)
			}
		})
	}
}

// count is the number of things to check among files.
func count(files map[string]string) int {
	tops := map[string]bool{}
	for f := range files {
		top, _, _ := strings.Cut(f, "/")
		tops[top] = true
	}
	return len(tops)
}
