package producer

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

const defaultsFile = `version: 1
defaults:
  timeout: 10m
  branch: release
  secrets: [licence]
  build_args: {BASE: stack, JOBS: 4}
  webhook: {secret_file: hook, forges: [github, gitea]}
  fleet:
    reference: local
    rollout: {canaries: 3, waves: [50%, 100%], trial: {timeout: 1m, network: bridge}}
    preload_from: [example.com]
pipelines:
  - name: plain
    repository: https://git.example.com/plain.git
    image: example.com/plain
    webhook: {forges: [github]}
    fleets: [{name: a}]
  - name: own
    repository: https://git.example.com/own.git
    image: example.com/own
    timeout: 5m
    branch: main
    secrets: []
    build_args: {JOBS: 8, MORE: x}
    fleets:
      - name: b
        reference: digest
        rollout: {canaries: 0, waves: [100%], trial: {network: none}}
`

// TestDefaults: what a pipeline or fleet says itself wins, mappings are put together, lists are not.
func TestDefaults(t *testing.T) {
	for name, file := range map[string]string{
		"at the top": defaultsFile,
		"at the end": "version: 1\n" + defaultsFile[strings.Index(defaultsFile, "pipelines:"):] + defaultsFile[strings.Index(defaultsFile, "defaults:"):strings.Index(defaultsFile, "pipelines:")],
	} {
		p := load(t, file)
		plain, own := p.All()[0], p.All()[1]
		if plain.Timeout != messages.Duration(600e9) || plain.Branch != "release" || !reflect.DeepEqual(plain.Secrets, []string{"licence"}) ||
			!reflect.DeepEqual(plain.BuildArgs, map[string]string{"BASE": "stack", "JOBS": "4"}) || !reflect.DeepEqual(p.byName["plain"].forges, []string{"github"}) || p.byName["plain"].secret == nil {
			t.Errorf("%s: what says nothing itself is %+v", name, plain)
		}
		if f := plain.Fleets[0].Policy; f.Reference != messages.ReferenceLocal || f.Canaries != 3 || !reflect.DeepEqual(f.Waves, []int{50, 100}) || f.Trial.Network != "bridge" || len(f.PreloadFrom) != 1 {
			t.Errorf("%s: its fleet is %+v", name, f)
		}
		if own.Timeout != messages.Duration(300e9) || own.Branch != "main" || len(own.Secrets) != 0 || !reflect.DeepEqual(own.BuildArgs, map[string]string{"BASE": "stack", "JOBS": "8", "MORE": "x"}) {
			t.Errorf("%s: what says something is %+v", name, own)
		}
		if f := own.Fleets[0].Policy; f.Reference != messages.ReferenceDigest || f.Canaries != 0 || !reflect.DeepEqual(f.Waves, []int{100}) || f.Trial.Network != "none" || f.Trial.Timeout != messages.Duration(60e9) {
			t.Errorf("%s: its fleet is %+v", name, f)
		}
	}
}

// TestADefaultBranchGivesWay to branches and tags that a pipeline names.
func TestADefaultBranchGivesWay(t *testing.T) {
	for own, want := range map[string]string{"": "release", "    branch: next": "next", "    branches: [next, dev]": "next", "    tags: ['v*']": messages.DefaultBranch} {
		p := load(t, "defaults: {branch: release}\n"+item(own))
		if got := p.All()[0].Branch; got != want {
			t.Errorf("%q: the branch is %q, want %q", own, got, want)
		}
		again, err := LoadPipelines(writeFile(t, rendered(t, p, "base")))
		if err != nil {
			t.Fatal(err)
		}
		sameDeclared(t, own, p, again)
	}
}

func TestDefaultsAreRefused(t *testing.T) {
	pipelines := "pipelines:\n  - {name: a, repository: 'https://git.example.com/a.git', image: example.com/a, fleets: [{name: f}]}\n  - {name: b, repository: 'https://git.example.com/b.git', image: example.com/b}\n"
	for name, c := range map[string]struct{ defaults, want string }{
		"a name":               {"{name: x}", `:2: defaults: unknown field "name"`},
		"fleets":               {"{fleets: []}", `unknown field "fleets", did you mean "fleet"?`},
		"a misspelt field":     {"{timeuot: 1m}", `did you mean "timeout"?`},
		"a bad value":          {"{timeout: 5}", `:2: defaults.timeout: duration "5"`},
		"a bad value of fleet": {"{fleet: {rollout: {quorum: 5}}}", `:2: defaults.fleet.rollout.quorum: 5 is not a percentage`},
		"a fence":              {"{fleet: {fence: kato}}", `defaults.fleet: unknown field "fence"`},
		"a merge key":          {"{<<: {timeout: 1m}}", "merge keys"},
		"a list":               {"[a]", ":2: defaults: a list where fields were expected"},
		"nothing":              {"", "where fields were expected"},
		"itself":               {"&d {fleet: {rollout: *d}}", "defaults.fleet.rollout: unknown field"},
	} {
		_, err := LoadPipelines(writeFile(t, "version: 1\ndefaults: "+c.defaults+"\n"+pipelines))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		} else if strings.Count(err.Error(), "\n") > 0 && name != "itself" {
			t.Errorf("%s is told more than once:\n%v", name, err)
		}
	}
}

// pipelinesFolder is a folder of pipeline files.
func pipelinesFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func single(name string, more ...string) string {
	return "version: 1\npipelines:\n  - name: " + name + "\n    repository: https://git.example.com/" + name + ".git\n    image: example.com/" + name + "\n" + strings.Join(more, "\n") + "\n"
}

// TestAFolderOfFiles is read in the order of their names; what is no pipeline file is left alone.
func TestAFolderOfFiles(t *testing.T) {
	dir := pipelinesFolder(t, map[string]string{
		"20-b.yaml": "defaults: {timeout: 1m}\n" + single("b", "    webhook: {secret_file: hook}"), "10-a.yml": single("a"), "hook": testSecret,
		".hidden.yaml": "no", "README.md": "no", "10-a.yml~": "no", "c.yaml.bak": "no",
	})
	if err := os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := LoadPipelines(dir)
	if err != nil {
		t.Fatal(err)
	}
	if all := p.All(); len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" || all[0].Timeout != defaultTimeout || all[1].Timeout != messages.Duration(60e9) {
		t.Errorf("%+v", all)
	}
}

func TestAFolderIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"without pipeline files": {map[string]string{"README.md": "x"}, []string{"has no file whose name ends in .yaml or .yml"}},
		"a name twice":           {map[string]string{"a.yaml": single("x"), "b.yaml": "# second\n" + single("x")}, []string{"b.yaml:4: pipelines[0].name: pipeline name \"x\" is taken by the pipeline at ", "a.yaml:3: give"}},
		"a fleet twice":          {map[string]string{"a.yaml": single("x", "    fleets: [{name: f}]"), "b.yaml": single("y", "    fleets: [{name: f}]")}, []string{"b.yaml:6: pipelines[0].fleets[0].name: fleet \"f\" is fed at ", "a.yaml:6 already"}},
		"mistakes in several":    {map[string]string{"a.yaml": "nope: 1\n" + single("x"), "b.yaml": single("y", "    branch: a..b"), "c.yaml": ""}, []string{"a.yaml:1: unknown", "b.yaml:6: pipelines[0].branch", "c.yaml: the file is empty"}},
	} {
		_, err := LoadPipelines(pipelinesFolder(t, c.files))
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v; want %q", name, err, w)
			}
		}
	}
}

// TestAFolderIsReadAgain when a file is added, changed or removed.
func TestAFolderIsReadAgain(t *testing.T) {
	dir := pipelinesFolder(t, map[string]string{"a.yaml": single("a")})
	r := startReloading(t, dir)
	r.write(filepath.Join(dir, "b.yaml"), single("b"))
	r.settle()
	r.want("", "a", "b")
	r.write(filepath.Join(dir, "b.yaml"), single("c"))
	r.settle()
	r.want("", "a", "c")
	remove(t, filepath.Join(dir, "a.yaml"))
	r.settle()
	r.want("", "c")
	remove(t, filepath.Join(dir, "b.yaml"))
	r.settle()
	r.want("has no file", "c")
}
