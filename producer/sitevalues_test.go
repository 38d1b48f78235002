package producer

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/yamlfile"
)

func TestVariablesAreReplaced(t *testing.T) {
	t.Setenv("SITE_REGISTRY", "registry.example.com")
	t.Setenv("SITE_COUNT", "3")
	t.Setenv("SITE_QUORUM", "90%")
	t.Setenv("SITE_TRUE", "true")
	t.Setenv("SITE_ODD", `a "b" {c: d} # e`)
	t.Setenv("SITE_EMPTY", "")
	file := writeFile(t, `version: 1
pipelines:
  - name: base
    repository: https://git.example.com/base.git
    image: ${env:SITE_REGISTRY}/ops/base
    attempts: ${env:SITE_COUNT}
    directory: "${env:SITE_EMPTY}"
    branch: ${file:branch}
    webhook:
      secret_file: ${file:which}
    build_args:
      ODD: ${env:SITE_ODD}
      TWO: ${env:SITE_COUNT}-${env:SITE_COUNT}
      PLAIN: $${env:SITE_COUNT} and $${x} cost $5
      NUMBER: ${env:SITE_COUNT}
    fleets:
      - name: f
        rollout: {quorum: "${env:SITE_QUORUM}"}
      - name: g
        rollout:
          approval: ${env:SITE_TRUE}
`)
	p, err := LoadPipelines(writeFileBeside(t, file, map[string]string{"branch": "release/1.0\r\n", "which": "hook"}))
	if err != nil {
		t.Fatal(err)
	}
	got := p.All()[0]
	args := map[string]string{"ODD": `a "b" {c: d} # e`, "TWO": "3-3", "PLAIN": "${env:SITE_COUNT} and ${x} cost $5", "NUMBER": "3"}
	if got.Image != "registry.example.com/ops/base" || got.Attempts != 3 || got.Directory != "" || got.Branch != "release/1.0" || !reflect.DeepEqual(got.BuildArgs, args) ||
		got.Fleets[0].Policy.QuorumPercent != 90 || !got.Fleets[1].Policy.Approval || p.declared[0].secret == nil {
		t.Errorf("%+v", got)
	}
	if w := p.Warnings(); len(w) > 0 {
		t.Errorf("warnings %v", w)
	}
}

// writeFileBeside writes files into the folder of a pipeline file.
func writeFileBeside(t *testing.T, file string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestVariablesAreRefused(t *testing.T) {
	const hidden = "hunter2-hunter2"
	t.Setenv("SITE_SECRET", hidden)
	t.Setenv("SITE_PASTED", "ghp_"+hidden)
	t.Setenv("SITE_LINES", "a\nb")
	t.Setenv("SITE_EMPTY", "")
	for name, c := range map[string]struct {
		line, want string
		absent     bool
	}{
		"a variable that is not set":      {"    branch: ${env:SITE_NOT_SET}", ":6: ${env:SITE_NOT_SET}: the environment variable is not set", true},
		"a file that is not there":        {"    branch: ${file:nope}", ":6: ${file:nope}: the file does not exist", true},
		"a bad name":                      {"    branch: ${env:A-B}", "is not the name of an environment variable", false},
		"no name of a file":               {"    branch: \"${file: }\"", "names no file", false},
		"no end":                          {"    branch: ${env:HOME", ":6: ${env:HOME has no } that ends it", false},
		"a folder":                        {"    branch: ${file:.}", "is not a file with a value in it", false},
		"a device":                        {"    branch: ${file:/dev/zero}", "is not a file with a value in it", false},
		"a file of several lines":         {"    branch: ${file:fenceline.yaml}", "has several lines", false},
		"a variable of several lines":     {"    branch: ${env:SITE_LINES}", "has several lines", false},
		"an empty one":                    {"    branch: ${env:SITE_EMPTY}", "branch: has no value", false},
		"in a key":                        {"    build_args: {\"${env:HOME}\": x}", ":6: the name of a field has a variable", false},
		"a value that can't be used":      {"    timeout: ${env:SITE_SECRET}", `pipelines[0].timeout: duration "${env:SITE_SECRET}"`, false},
		"a part that can't be used":       {"    dockerfile: ../${env:SITE_SECRET}", `pipelines[0].dockerfile: "../${env:SITE_SECRET}" leaves`, false},
		"a number":                        {"    attempts: ${env:SITE_SECRET}", `the text "${env:SITE_SECRET}"`, false},
		"in place of a list":              {"    secrets: ${env:SITE_SECRET}", "a list was expected", false},
		"a token":                         {"    branch: ${env:SITE_PASTED}", "${env:SITE_PASTED}: looks like a secret itself", false},
		"a webhook's secret as a value":   {"    build_args: {A: \"${file:hook}\"}\n    webhook: {secret_file: hook}", "is used as a value, too", false},
		"inside of a list, without quote": {"    secrets: [${env:SITE_SECRET}]", "put text with ${ in quotes", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadPipelines(writeFile(t, item(c.line)))
			var invalid *yamlfile.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("%v; want %q", err, c.want)
			}
			if len(invalid.Problems) != 1 && name != "in a key" || invalid.Problems[0].Absent != c.absent {
				t.Errorf("the problems are %+v", invalid.Problems)
			}
		})
	}
}

// TestNoProblemShowsWhatAVariableStandsFor in any field, whole or in part.
func TestNoProblemShowsWhatAVariableStandsFor(t *testing.T) {
	for _, value := range []string{"hunter2-hunter2", "HUNTER2", "hunter2 hunter2", "https://me:hunter2@git.example.com/x.git", "refs/heads/hunter2", "../hunter2", "hunter2/\"'\\", strings.Repeat("hunter2", 40), "grün hunter2\t"} {
		t.Setenv("SITE_SECRET", value)
		for _, field := range []string{"branch", "dockerfile", "directory", "platform", "hooks_dir", "timeout", "attempts", "retry_for", "repository_token"} {
			for _, written := range []string{"${env:SITE_SECRET}", "'${env:SITE_SECRET}'", "x/${env:SITE_SECRET}", "' ${env:SITE_SECRET}${env:SITE_SECRET}'"} {
				p, err := LoadPipelines(writeFile(t, item("    "+field+": "+written, "    fleets: [{name: '${env:SITE_SECRET}'}]")))
				said := ""
				if err != nil {
					said = err.Error()
				}
				for _, w := range p.Warnings() {
					said += w.String()
				}
				if strings.Contains(strings.ToLower(said), "hunter") {
					t.Errorf("%s: %s of %q: %s", field, written, value, said)
				}
			}
		}
	}
}

// TestAValueIsReadAgain when its file changes.
func TestAValueIsReadAgain(t *testing.T) {
	file := writeFileBeside(t, writeFile(t, item("    branch: ${file:which}")), map[string]string{"which": "main"})
	r := startReloading(t, file)
	writeFileBeside(t, file, map[string]string{"which": "next"})
	r.settle()
	if got := r.inForce.Load().pipelines.All()[0].Branch; got != "next" {
		t.Errorf("the branch is %q", got)
	}
	remove(t, filepath.Join(filepath.Dir(file), "which"))
	r.settle()
	r.want("the file does not exist", "base")
}

// TestAnAbsentVariableIsOneProblem, whatever field it is the value of.
func TestAnAbsentVariableIsOneProblem(t *testing.T) {
	const v = "${env:SITE_NOT_SET}"
	for name, file := range map[string]string{
		"a name":          strings.Replace(item(), "name: base", "name: "+v, 1),
		"a repository":    strings.Replace(item(), "https://git.example.com/base.git", v, 1),
		"an image":        strings.Replace(item(), "image: example.com/base", "image: "+v, 1),
		"a list":          item("    fleets: [{name: f, preload_from: [\"" + v + "\"]}]"),
		"waves":           item("    fleets: [{name: f, rollout: {waves: [\"" + v + "\"]}}]"),
		"a way":           item("    fleets: [{name: f, pull: {way: \"" + v + "\"}}]"),
		"a mirror":        item("    fleets: [{name: f, pull: {way: mirrors, mirrors: [{url: \"" + v + "\"}]}}]"),
		"a fleet":         item("    fleets: [{name: \"" + v + "\"}]"),
		"a forge":         item("    webhook: {secret_file: hook, forges: [\"" + v + "\"]}"),
		"a secret's file": item("    webhook: {secret_file: \"" + v + "\"}"),
		"a default":       "defaults: {timeout: \"" + v + "\"}\n" + item("  - {name: b, repository: 'https://git.example.com/b.git', image: example.com/b}"),
	} {
		_, err := LoadPipelines(writeFile(t, file))
		var invalid *yamlfile.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || !invalid.Problems[0].Absent {
			t.Errorf("%s: %v", name, err)
		}
	}
}
