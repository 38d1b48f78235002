package producer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/yamlfile"
)

const fullFile = `version: 1
pipelines:
  - name: libgraphite2
    repository: http://127.0.0.1:8450/libgraphite2.git
    branch: release
    dockerfile: docker/Dockerfile
    directory: sub
    image: 127.0.0.1:8441/exampleco/newimg
    platform: linux/amd64
    build_args: {BASE: "127.0.0.1:8441/stack:latest", JOBS: 4, RELEASE: 1.0}
    hooks_dir: /etc/stackato/hooks
    timeout: 10m
    concurrency: queue
    attempts: 3
    retry_for: 2h
    repository_token: reader
    submodules: same-host
    secrets: [npm]
    webhook: {secret_file: hook, forges: [github]}
    schedule: [{cron: "0 3 * * 1", time_zone: Europe/Berlin, branch: release, only_if: changed}]
    fleets:
      - name: staging
      - name: default
        reference: local
        rollout:
          canaries: 2
          waves: [10%, 50%, 100%]
          max_in_flight: 7
          quorum: 90%
          quorum_floor: 2
          node_deadline: 5m
          trial: {timeout: 1m, network: bridge, user: deploy, disabled: false}
          approval: true
          soak: 30s
          keep: 3
          preload_bases: true
          apply: {quorum: 90%, deadline: 3m}
        preload_from: [127.0.0.1:8441, debian]
        pull:
          way: mirrors
          mirrors:
            - {url: "http://rack-a.example.com:5000", labels: {rack: a}, time_limit: 5s, back_off: 2m}
            - {url: "http://127.0.0.1:30020"}
`

func TestLoadPipelinesReadsEveryField(t *testing.T) {
	p := load(t, fullFile)
	want := messages.Pipeline{
		Name: "libgraphite2", Repository: "http://127.0.0.1:8450/libgraphite2.git", Branch: "release", Dockerfile: "docker/Dockerfile",
		Directory: "sub", Image: "127.0.0.1:8441/exampleco/newimg", Platform: "linux/amd64",
		BuildArgs: map[string]string{"BASE": "127.0.0.1:8441/stack:latest", "JOBS": "4", "RELEASE": "1.0"},
		HooksDir:  "/etc/stackato/hooks", Timeout: messages.Duration(600e9), Attempts: 3, RetryFor: messages.Duration(7200e9), Concurrency: messages.ConcurrencyQueue, TokenName: "reader", Submodules: messages.SubmodulesSameHost, Secrets: []string{"npm"},
		Fleets: []messages.FleetTarget{
			{Fleet: "staging", Policy: messages.DefaultPolicy()},
			{Fleet: "default", Policy: messages.Policy{
				Canaries: 2, Waves: []int{10, 50, 100}, MaxInFlight: 7, QuorumPercent: 90, QuorumFloor: 2, NodeDeadline: messages.Duration(300e9),
				Trial: messages.Trial{Timeout: messages.Duration(60e9), Network: "bridge", User: "deploy"}, Approval: true, Soak: messages.Duration(30e9), Keep: 3, PreloadBases: true, Reference: messages.ReferenceLocal,
				Apply:       &messages.ApplyPolicy{QuorumPercent: 90, Deadline: messages.Duration(180e9)},
				PreloadFrom: []string{"127.0.0.1:8441", "debian"},
				Pull: &messages.Pull{Way: messages.PullMirrors, Mirrors: []messages.Mirror{
					{URL: "http://rack-a.example.com:5000", Labels: map[string]string{"rack": "a"}, TimeLimit: messages.Duration(5e9), BackOff: messages.Duration(120e9)},
					{URL: "http://127.0.0.1:30020"},
				}},
			}},
		},
	}
	if got := p.All(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("LoadPipelines: %+v\nwant %+v", got, want)
	}
	if d := p.byName["libgraphite2"]; d == nil || d.pipeline.Name != "libgraphite2" || len(p.Warnings()) > 0 {
		t.Errorf("by its name: %+v, warnings %v", d, p.Warnings())
	}
}

// item is a pipeline with one line changed or added.
func item(lines ...string) string {
	return "version: 1\npipelines:\n  - name: base\n    repository: https://git.example.com/base.git\n    image: example.com/base\n" + strings.Join(lines, "\n") + "\n"
}

func TestLoadPipelinesRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"a list that leaves out the image": {item("    fleets:", "      - name: f", "        preload_from: [example.com/bas]"), "fleets[0].preload_from: leaves out example.com/base"},
		"a list of nothing":                {item("    fleets:", "      - name: f", "        preload_from: []"), "lists nothing"},
		"an address in the list":           {item("    fleets:", "      - name: f", "        preload_from: [https://example.com]"), "neither a registry's HOST"},
		"an unknown concurrency":           {item("    concurrency: newest"), `:6: pipelines[0].concurrency: "newest" is none of latest, queue`},
		"a queue that ends builds":         {item("    concurrency: queue", "    cancel_running: true"), `:7: pipelines[0].cancel_running: with concurrency "queue" each push is built`},
		"an unknown way":                   {item("    fleets:", "      - name: f", "        pull: {way: mirror}"), `did you mean "mirrors"`},
		"a way without mirrors":            {item("    fleets:", "      - name: f", "        pull: {way: mirrors}"), "at least one"},
		"a mirror with a login":            {item("    fleets:", "      - name: f", "        pull: {way: mirrors, mirrors: [{url: \"http://a:b@m\"}]}"), "mirrors[0].url"},
		"an empty file":                    {"", "the file is empty"},
		"comments alone":                   {"# nothing\n", "the file is empty"},
		"bad YAML":                         {"version: 1\npipelines:\n  - name: [\n", ":3: is not YAML"},
		"tabs as indentation":              {"version: 1\npipelines:\n\t- name: x\n", ":3: is not YAML"},
		"an alias without its anchor":      {item("    branch: *nope"), ":6: alias *nope has no anchor &nope before it"},
		"a control character":              {item("    branch: a\x00b"), `:6: has the control character '\x00'`},
		"another encoding":                 {item("    branch: gr\xfcn"), ":6: is not UTF-8"},
		"a key that is an alias":           {item("    &x branch: b", "    *x : c"), ":7: pipelines[0]: an alias where the name of a field was expected"},
		"a truth value by its tag":         {item("    fleets: [{name: f, rollout: {approval: !!bool maybe}}]"), ":6: pipelines[0].fleets[0].rollout.approval: maybe is neither true nor false"},
		"no forge":                         {item("    webhook: {secret_file: hook, forges: []}"), ":6: pipelines[0].webhook.forges: lists no forge"},
		"a secret as its own file":         {item("    webhook: {secret_file: whsec_aGVsbG8=}"), ":6: pipelines[0].webhook.secret_file: looks like a secret itself"},
		"an empty second document":         {item() + "---\n", ":7: a second YAML document begins here"},
		"a name taken by a broken one":     {item("    brunch: x", "  - {name: base, repository: 'https://git.example.com/b.git', image: example.com/b}"), `:7: pipelines[1].name: pipeline name "base" is taken`},
		"a second document":                {"version: 1\npipelines: []\n---\nversion: 1\n", "second YAML document"},
		"a list at the top":                {"- a\n", ":1: a list where fields were expected"},
		"no version":                       {"pipelines: []\n", "version: is missing"},
		"another version":                  {"version: 2\npipelines: []\n", ":1: version: 2 is not a whole number from 1 to 1"},
		"no pipelines":                     {"version: 1\n", "pipelines: is missing"},
		"an unknown field":                 {item("    dockerfiel: x"), `:6: pipelines[0]: unknown field "dockerfiel", did you mean "dockerfile"?`},
		"a field twice":                    {item("    image: example.com/b"), ":6: pipelines[0].image: is given twice"},
		"a field without a value":          {item("    branch:"), ":6: pipelines[0].branch: has no value"},
		"a number for text":                {item("    branch: 1.0"), ":6: pipelines[0].branch: the number 1.0 where text was expected: put it in quotes"},
		"text for a number":                {item("    attempts: many"), `:6: pipelines[0].attempts: the text "many" where a whole number`},
		"a number out of range":            {item("    attempts: 0"), ":6: pipelines[0].attempts: 0 is not a whole number from 1 to 100"},
		"a bad duration":                   {item("    timeout: 5"), `:6: pipelines[0].timeout: duration "5" is not a number with a unit`},
		"a bad branch":                     {item("    branch: a..b"), `:6: pipelines[0].branch: "a..b" is not a branch name`},
		"a full ref":                       {item("    branch: refs/heads/main"), `:6: pipelines[0].branch: "refs/heads/main" is a full ref: write main`},
		"a bad platform":                   {item("    platform: amd64"), ":6: pipelines[0].platform:"},
		"a Dockerfile outside":             {item("    dockerfile: ../Dockerfile"), `:6: pipelines[0].dockerfile: "../Dockerfile" leaves the repository`},
		"a relative hooks folder":          {item("    hooks_dir: hooks"), ":6: pipelines[0].hooks_dir:"},
		"a merge key":                      {"x: &x {branch: b}\n" + item("    <<: *x"), "merge keys"},
		"a duplicate name":                 {item("  - {name: base, repository: 'https://git.example.com/b.git', image: example.com/b}"), `:6: pipelines[1].name: pipeline name "base" is taken by the pipeline at line 3`},
		"a fleet of two pipelines":         {item("    fleets: [{name: f}]", "  - {name: b, repository: 'https://git.example.com/b.git', image: example.com/b, fleets: [{name: f}]}"), `:7: pipelines[1].fleets[0].name: fleet "f" is fed at line 6 already`},
		"a percentage without its sign":    {item("    fleets: [{name: f, rollout: {quorum: 90}}]"), "quorum: 90 is not a percentage from 1% to 100%"},
		"waves that fall":                  {item("    fleets: [{name: f, rollout: {waves: [50%, 10%, 100%]}}]"), "waves[1]: 10% is not more than"},
		"waves that end early":             {item("    fleets: [{name: f, rollout: {waves: [50%]}}]"), "let the last be 100%"},
		"a truth value in words":           {item("    fleets: [{name: f, rollout: {approval: perhaps}}]"), "where true or false was expected"},
		"a missing secret file":            {item("    webhook: {secret_file: nope}"), `:6: pipelines[0].webhook.secret_file: secret file "nope" does not exist: make it`},
		"an empty secret file":             {item("    webhook: {secret_file: /dev/null}"), "/dev/null is empty"},
		"a folder as secret file":          {item("    webhook: {secret_file: .}"), "is a directory"},
		"a file as its own secret":         {item("    webhook: {secret_file: fenceline.yaml}"), "has several lines"},
		"a webhook without a secret":       {item("    webhook: {forges: [github]}"), "webhook.secret_file: is missing"},
		"an unknown forge":                 {item("    webhook: {secret_file: hook, forges: [githup]}"), `did you mean "github"?`},
		"a token in place of its name":     {item("    repository_token: ghp_abcdef"), "looks like a secret itself"},
		"a secret's name with a path":      {item("    secrets: [../x]"), "is not the name of a secret"},
		"a quorum of none":                 {item("    fleets: [{name: f, rollout: {apply: {quorum: 0%}}}]"), ":6: pipelines[0].fleets[0].rollout.apply.quorum: "},
		"a deadline without a unit":        {item("    fleets: [{name: f, rollout: {apply: {deadline: 5}}}]"), ":6: pipelines[0].fleets[0].rollout.apply.deadline: "},
		"an apply that is no mapping":      {item("    fleets: [{name: f, rollout: {apply: 90%}}]"), ":6: pipelines[0].fleets[0].rollout.apply: "},
		"a misspelt part of apply":         {item("    fleets: [{name: f, rollout: {apply: {qorum: 9%}}}]"), `unknown field "qorum", did you mean "quorum"?`},
		"an unknown place for fences":      {item("    fleets: [{name: f, fence: katto}]"), `:6: pipelines[0].fleets[0].fence: "katto" is no place where a fence config can live: choose one of natskv, kato, confdis, exec, did you mean "kato"?`},
		"two fleets in one place":          {item("    fleets: [{name: f, fence: kato}, {name: g, fence: exec}, {name: h, fence: exec}, {name: i, fence: kato}]"), `:6: pipelines[0].fleets[3].fence: kato holds one image, and is that of a fleet at line 6 already`},
		"an unknown form of references":    {item("    fleets: [{name: f, reference: tag}]"), `:6: pipelines[0].fleets[0].reference: "tag": must be digest`},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, c.file)
			_, err := LoadPipelines(path)
			var invalid *yamlfile.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("LoadPipelines: %v\nwant %q", err, c.want)
			}
		})
	}
}

func TestLoadPipelinesReportsProblemsTogetherInOrder(t *testing.T) {
	_, err := LoadPipelines(writeFile(t, item("    brunch: x", "    attempts: 0", "    timeout: soon")))
	var invalid *yamlfile.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 {
		t.Fatalf("LoadPipelines: %v; want three problems", err)
	}
	for i, p := range invalid.Problems {
		if p.Line != 6+i {
			t.Errorf("problem %d is at line %d: %v", i, p.Line, p)
		}
	}
}

// TestLoadPipelinesOfHugeFiles has one thing more often than is read.
func TestLoadPipelinesOfHugeFiles(t *testing.T) {
	fill := func(head, form string, times int) string {
		b := strings.Builder{}
		b.WriteString(head)
		for i := range times {
			fmt.Fprintf(&b, form, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ file, want string }{
		"unknown fields": {fill("version: 1\n", "f%d: 1\n", 20*yamlfile.MaxProblems), "the rest of the file was not read"},
		"broken items":   {fill("version: 1\npipelines:\n", "- {name: p%d}\n", 20*yamlfile.MaxProblems), "the rest of the file was not read"},
		"values":         {fill(item("    secrets: ["), "s%d,", 50_000) + "]\n", "more than 50000 values"},
		"bytes":          {strings.Repeat("#", 1<<20+1), "more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadPipelines(writeFile(t, c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 3*yamlfile.MaxProblems {
				t.Errorf("LoadPipelines: %.300v; want %q", err, c.want)
			}
		})
	}
}

func TestLoadPipelinesAcceptsAByteOrderMarkAndDocumentMarks(t *testing.T) {
	if _, err := LoadPipelines(writeFile(t, "\ufeff---\n"+item()+"...\n")); err != nil {
		t.Errorf("LoadPipelines: %v", err)
	}
}

func TestLoadPipelinesShowsNoSecret(t *testing.T) {
	for name, file := range map[string]string{
		"a password in the URL":       strings.Replace(item(), "https://", "https://me:hunter2@", 1),
		"a token as user in the URL":  strings.Replace(item(), "https://", "https://hunter2@", 1),
		"a broken URL":                strings.Replace(item(), "https://", "https://me:hunter2%zz@", 1),
		"the secret as the webhook":   item("    webhook: hunter2"),
		"the secret under secret":     item("    webhook: {secret: hunter2}"),
		"a token as repository_token": item("    repository_token: hunter2/x"),
		"a token in place of a list":  item("    secrets: hunter2"),
		"a token as a secret's file":  item("    webhook: {secret_file: whsec_hunter2}"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadPipelines(writeFile(t, file))
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("LoadPipelines: %v; want an error without the secret", err)
			}
		})
	}
}

func TestLoadPipelinesWarns(t *testing.T) {
	path := writeFile(t, item("    webhook: {secret_file: hook}", "    build_args: {API_TOKEN: x}"))
	hook := filepath.Join(filepath.Dir(path), "hook")
	if err := os.WriteFile(hook, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(hook, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := LoadPipelines(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range p.Warnings() {
		all = append(all, w.String())
	}
	got := strings.Join(all, "\n")
	for _, want := range []string{"every user of this machine", "can be guessed", "provenance"} {
		if !strings.Contains(got, want) {
			t.Errorf("warnings lack %q:\n%s", want, got)
		}
	}
}

// TestSecretFilesOfOtherProgramsAreRefused: what would be part of the secret, and never match.
func TestSecretFilesOfOtherProgramsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"a byte order mark": {"\ufeff" + testSecret + "\r\n", "byte order mark"},
		"UTF-16":            {"\xff\xfea\x00b\x00\r\x00\n\x00", "UTF-16"},
		"quotes":            {`"` + testSecret + "\"\n", "quotes"},
		"a variable":        {"WEBHOOK_SECRET=" + testSecret + "\n", "NAME=VALUE"},
	} {
		path := writeFile(t, item("    webhook: {secret_file: hook}"))
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "hook"), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadPipelines(path)
		if err == nil || !strings.Contains(err.Error(), `:6: pipelines[0].webhook.secret_file: secret file "hook": `) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// TestVariablesAreWarnedOf: nothing replaces them, in whatever field they are.
func TestVariablesAreWarnedOf(t *testing.T) {
	for text, want := range map[string]string{
		`    build_args: {BASE: "registry.example.com/stack:${STACK_TAG:-latest}"}`: ":6: pipelines[0].build_args.BASE: \"${STACK_TAG:-latest}\" is taken as it is",
		`    build_args: {A: x, B: $HOME/x}`:                                        ".build_args.B: \"$HOME\"",
		`    build_args: {A: "$(date)"}`:                                            "\"$(date)\"",
		`    build_args: {A: "{{ .Tag }}"}`:                                         "\"{{ .Tag }}\"",
		`    build_args: {A: "%USERNAME%"}`:                                         "\"%USERNAME%\"",
		`    directory: ${DIR}`:                                                     "pipelines[0].directory: \"${DIR}\"",
		`    branch: $BRANCH`:                                                       "pipelines[0].branch: \"$BRANCH\"",
		`    hooks_dir: /etc/$NAME/hooks`:                                           "pipelines[0].hooks_dir: \"$NAME\"",
	} {
		w := load(t, item(text)).Warnings()
		if len(w) != 1 || !strings.Contains(w[0].String(), want) {
			t.Errorf("%s: warnings %v; want %q", text, w, want)
		}
	}
	if w := load(t, item(`    build_args: {PRICE: "5$", AT: "100%", DOLLARS: "a$ b", JSON: "{}"}`)).Warnings(); len(w) > 0 {
		t.Errorf("warnings %v", w)
	}
}

// TestOddBranchesAreBuilt has branches that git allows, from the file to the stored request.
func TestOddBranchesAreBuilt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for written, branch := range map[string]string{
		"-x": "-x", "refs/heads/refs/heads/x": "refs/heads/x", `"@"`: "@", "grün/名前": "grün/名前", strings.Repeat("long/", 50) + "x": strings.Repeat("long/", 50) + "x",
	} {
		file := item("    webhook: {secret_file: hook}", "    branch: "+written)
		p, err := New(Config{Pipelines: load(t, file), Queue: builds.New(c)})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range senders() {
			ref := "refs/heads/" + branch
			status, a, _ := serve(p, s.hook(testSecret, s.payload("https://git.example.com/base.git", ref, testCommit)))
			if status != 202 || len(a.Builds) != 1 {
				t.Errorf("%s: status %d, %+v", written, status, a)
			} else if got := stored(t, c)[a.Builds[0].Build]; got.Ref != ref || got.Pipeline.Branch != branch {
				t.Errorf("%s: stored %+v", written, got)
			}
		}
	}
}

func TestLoadPipelinesWarnsOfNoPipelines(t *testing.T) {
	if w := load(t, "version: 1\npipelines: []\n").Warnings(); len(w) != 1 || w[0].Line != 2 || !strings.Contains(w[0].Text, "nothing will be built") {
		t.Errorf("warnings %v", w)
	}
}

func TestLoadPipelinesOfAMissingFile(t *testing.T) {
	if _, err := LoadPipelines(filepath.Join(t.TempDir(), "fenceline.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadPipelines: %v", err)
	}
}

func FuzzParsePipelines(f *testing.F) {
	for _, s := range []string{fullFile, testFile, item("    webhook: hunter2"), "a: &a [*a]\n", "version: 1\npipelines: &p [*p, *p]\n", "defaults: &d {fleet: *d, timeout: 1m}\n" + item("    directory: ${file:hook}"),
		item("    branch: ${env:HOME}$${x}", "    fleets: &f [{name: f, rollout: &r {trial: *r}}]")} {
		f.Add([]byte(s))
	}
	schema, folder := compileSchema(f), filepath.Dir(writeFile(f, ""))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := &document{load: &loading{folder: folder, read: map[string]stamp{}}}
		d.file("f", content)
		p, err := d.result()
		if err != nil {
			return
		}
		for _, l := range p.All() {
			if err := l.Validate(); err != nil {
				t.Errorf("accepted a pipeline that is refused later: %v", err)
			}
		}
		if err := schema.Validate(editorsSee(t, string(content))); err != nil {
			t.Errorf("accepted what the schema refuses: %v", err)
		}
	})
}

// TestAnApplyPolicyHasDefaults where it says one thing alone.
func TestAnApplyPolicyHasDefaults(t *testing.T) {
	for written, want := range map[string]messages.ApplyPolicy{
		"{quorum: 50%}":  {QuorumPercent: 50, Deadline: messages.DefaultApplyDeadline},
		"{deadline: 1m}": {QuorumPercent: messages.DefaultApplyQuorum, Deadline: messages.Duration(60e9)},
		"{}":             {QuorumPercent: messages.DefaultApplyQuorum, Deadline: messages.DefaultApplyDeadline},
	} {
		p := load(t, item("    fleets: [{name: f, rollout: {apply: "+written+"}}]"))
		if got := p.All()[0].Fleets[0].Policy.Apply; got == nil || *got != want {
			t.Errorf("%s is %+v", written, got)
		}
	}
}
