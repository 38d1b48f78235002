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
		"an unknown field":  {map[string]string{"fenceline.yaml": strings.Replace(goodPipelines, "image:", "imagge:", 1)}, ExitFailed, []string{"fenceline.yaml:5:5", "imagge", `did you mean "image"?`}},
		"a bad instruction": {map[string]string{"Dockerfile": "FROM scratch\nRUNN true\n"}, ExitFailed, []string{"Dockerfile:2", "RUNN"}},
		"an empty file":     {map[string]string{"Dockerfile": ""}, ExitFailed, []string{"Dockerfile"}},
		"a hook's syntax":   {map[string]string{"hooks/pre-running": "#!/bin/sh\nif true; then\ntrue\n"}, ExitFailed, []string{"pre-running:2", "fi"}},
		"a stray hook":      {map[string]string{"hooks/pre-stage": "#!/bin/sh\n"}, ExitFailed, []string{"pre-staging"}},
		"nothing is there":  {nil, ExitFailed, []string{"nothing to check"}},
		"only a Dockerfile": {map[string]string{"Dockerfile": "FROM scratch\n"}, ExitDone, []string{"checked"}},
		"several at a time": {map[string]string{"Dockerfile": "NO\n", "hooks/x": "y"}, ExitFailed, []string{"Dockerfile:1", "hooks/x"}},
		"a file that is left out": {
			map[string]string{"hooks/pre-running": "#!/bin/sh\n", "hooks/README.md": "x", "hooks/pre-running~": "x", ".dockerignore": "hooks/*.md\n**/*~\n"}, ExitDone, []string{"checked"},
		},
		"what keeps a folder":    {map[string]string{"hooks/.gitkeep": "", "hooks/pre-running.orig": "x", "hooks/pre-running": "#!/bin/sh\n"}, ExitFailed, []string{".gitkeep", "pre-running.orig", "remove it", "pre-running is there"}},
		"bash in an sh script":   {map[string]string{"hooks/pre-running": "#!/bin/sh\nif [[ $A == b ]]; then :; fi\nsource /x\n"}, ExitFailed, []string{"pre-running:2", "[[", "pre-running:3", "source"}},
		"Latin-1":                {map[string]string{"hooks/pre-running": "#!/bin/sh\n# J\xfcrgen\n:\n"}, ExitDone, []string{"checked"}},
		"data behind exit":       {map[string]string{"hooks/pre-running": "#!/bin/sh\nexit 0\n__DATA__\naGVsbG8K(\n"}, ExitDone, []string{"checked"}},
		"Windows line ends":      {map[string]string{"Dockerfile": "FROM x\r\nRUN <<A\r\ntrue\r\nA\r\n"}, ExitFailed, []string{"Dockerfile:2: has Windows line ends"}},
		"a stage with a typo":    {map[string]string{"Dockerfile": "FROM x AS tools\nFROM x\nCOPY --from=tolls /a /b\n"}, ExitFailed, []string{"Dockerfile:3", "no stage has this name, did you mean tools"}},
		"a user nobody makes":    {map[string]string{"Dockerfile": "FROM x\nUSER appuser\n"}, ExitDone, []string{"warning:", "appuser"}},
		"a user over nothing":    {map[string]string{"Dockerfile": "FROM scratch\nUSER appuser\n"}, ExitFailed, []string{"no user appuser"}},
		"a right nobody gets":    {map[string]string{"Dockerfile": "FROM x\nRUN --security=insecure true\n"}, ExitFailed, []string{"a right that builds don't get"}},
		"another frontend":       {map[string]string{"Dockerfile": "# syntax=example.com/x\nFROM x\n"}, ExitDone, []string{"warning:", "the built-in one"}},
		"a question in a build":  {map[string]string{"Dockerfile": "FROM x\nRUN apt-get install curl\n"}, ExitFailed, []string{"Dockerfile:2", "option -y"}},
		"a question in a hook":   {map[string]string{"hooks/pre-running": "#!/bin/sh\napt-get install curl\n"}, ExitFailed, []string{"pre-running:2", "option -y"}},
		"a secret nobody gives":  {map[string]string{"fenceline.yaml": goodPipelines, "Dockerfile": "FROM x\nRUN --mount=type=secret,id=a,required=true true\n"}, ExitFailed, []string{`the secret "a"`}},
		"a field of no pipeline": {map[string]string{"fenceline.yaml": "nope: 1\n" + goodPipelines}, ExitFailed, []string{"fenceline.yaml:1:1: unknown field"}},
		"a broken YAML file":     {map[string]string{"fenceline.yaml": "version: [\n"}, ExitFailed, []string{"fenceline.yaml"}},
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
		if strings.HasPrefix(f, ".") {
			continue
		}
		top, _, _ := strings.Cut(f, "/")
		tops[top] = true
	}
	return len(tops)
}

// TestLintOfAFile checks a pipeline file of any name, alone.
func TestLintOfAFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "site.yml")
	clitest.Write(t, filepath.Join(dir, "Dockerfile"), "NO\n")
	clitest.Write(t, file, strings.Replace(goodPipelines, "image:", "brunch: \"a\"\n    attempts: 010\n    image:", 1))
	s := fenceline(t, "lint", file)
	if s.status != ExitFailed || !strings.Contains(s.out, "site.yml:5:5: pipelines[0]: unknown field") || !strings.Contains(s.out, "site.yml:6:15: pipelines[0].attempts: 010 is octal") || strings.Contains(s.out, "Dockerfile:") {
		t.Errorf("%+v", s)
	}
	var l linted
	if err := json.Unmarshal([]byte(fenceline(t, "lint", file, "-o", "json").out), &l); err != nil || len(l.Findings) != 2 || l.Findings[1].Column != 15 || l.Findings[1].Line != 6 {
		t.Errorf("%v: %+v", err, l)
	}
	clitest.Write(t, file, goodPipelines)
	if s := fenceline(t, "lint", file); s.status != ExitDone || s.out != "checked "+file+"\n" {
		t.Errorf("%+v", s)
	}
	if s := fenceline(t, "lint", filepath.Join(dir, "Dockerfile")); s.status != ExitUsage || !strings.Contains(s.err, "none of YAML") {
		t.Errorf("%+v", s)
	}
}

// TestLintOfAFolderOfPipelineFiles checks them together, as a producer reads them.
func TestLintOfAFolderOfPipelineFiles(t *testing.T) {
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "a.yaml"), goodPipelines)
	clitest.Write(t, filepath.Join(dir, "b.yaml"), goodPipelines)
	if s := fenceline(t, "lint", "--pipelines", dir); s.status != ExitFailed || !strings.Contains(s.out, "b.yaml:3:11: pipelines[0].name: pipeline name \"base\" is taken by the pipeline at "+dir+"/a.yaml:3") {
		t.Errorf("%+v", s)
	}
	clitest.Write(t, filepath.Join(dir, "b.yaml"), strings.Replace(goodPipelines, "name: base", "name: ${env:NOT_SET_HERE}", 1))
	if s := fenceline(t, "lint", "--pipelines", dir); s.status != ExitDone || !strings.Contains(s.out, "warning: "+dir+"/b.yaml:3:11: ${env:NOT_SET_HERE}: the environment variable is not set") {
		t.Errorf("%+v", s)
	}
	if s := fenceline(t, "lint", "--pipelines", dir, dir); s.status != ExitUsage {
		t.Errorf("%+v", s)
	}
}
