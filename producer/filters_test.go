package producer

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

func TestSkipWords(t *testing.T) {
	for message, want := range map[string]string{
		"Mend it":                                            "",
		"[skip ci] Mend it":                                  "[skip ci]",
		"Mend it [CI Skip]":                                  "[ci skip]",
		"Mend it\n\nlong\n[no ci] text":                      "[no ci]",
		"Mend it [skip actions]":                             "[skip actions]",
		"Mend it [actions skip]":                             "[actions skip]",
		"Mend it ***NO_CI***":                                "***no_ci***",
		"Mend it\n\nskip-checks: true":                       "skip-checks: true",
		"Mend it\r\n\r\nskip-checks:true\r\n":                "skip-checks: true",
		"Mend it\n\n\nSigned-off-by: A\nskip-checks: true\n": "skip-checks: true",
		"skip-checks: true":                                  "", // the subject is no trailer
		"Mend it\n\nskip-checks: true\n\nand so":             "", // not in the last paragraph
		"Mend it\n\nskip-checks: false":                      "",
		"Mend it\n\nsay skip-checks: true in it":             "",
		"skip ci":                                            "",
		"Mend it\n\nskip-checks: true (not said)":            "",
	} {
		if got := skipWord(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

// filtered is a pipeline with filters.
func filtered(t *testing.T, lines ...string) *declared {
	t.Helper()
	return load(t, item(lines...)).declared[0]
}

// TestFiltersOfPushes has what a forge tells of a push, what the repository would say, and what becomes of it.
func TestFiltersOfPushes(t *testing.T) {
	zero, unreachable := strings.Repeat("0", 40), errors.New("it is on fire")
	const paths, skip = `    paths: ["images/**", "!**/*.md"]`, `    skip_ci: true`
	push := func(change func(*event)) event {
		e := event{ref: mainRef, before: otherCommit, commit: testCommit, message: "Mend it"}
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		lines string
		event event
		asked *git.Change // nil where nobody may ask
		err   error
		build bool
		why   string
	}{
		"no filter":                 {"", push(func(e *event) { e.message = "[skip ci]" }), nil, nil, true, "branch main"},
		"a message that skips":      {skip, push(func(e *event) { e.message = "a\n\n[skip ci]" }), nil, nil, false, "the commit's message has [skip ci], which skip_ci heeds"},
		"a message that doesn't":    {skip, push(func(*event) {}), nil, nil, true, "branch main"},
		"a message not told":        {skip, push(func(e *event) { e.message = "" }), &git.Change{Message: "[no ci]"}, nil, false, "has [no ci]"},
		"a message not to be known": {skip, push(func(e *event) { e.message = "" }), &git.Change{}, unreachable, true, "branch main; its commit's message is not known: it is on fire"},
		"a tag's message":           {`    tags: ["v*"]` + "\n" + skip, push(func(e *event) { e.ref, e.message = "refs/tags/v1", "[ci skip]" }), nil, nil, false, "[ci skip]"},

		"a path told":                           {paths, push(func(e *event) { e.paths = files("README.md", "images/a/b") }), nil, nil, true, `branch main; path "images/a/b" by images/**`},
		"all paths told, none of them":          {paths, push(func(e *event) { e.paths, e.pathsComplete = files("docs/x", "images/a.md"), true }), nil, nil, false, `none of the 2 files that it changed matches paths images/**, !**/*.md`},
		"no path told":                          {paths, push(func(e *event) { e.paths = files("docs/x") }), &git.Change{Paths: []string{"docs/x", "images/x"}}, nil, true, `path "images/x" by images/**`},
		"no path told, none of them":            {paths, push(func(*event) {}), &git.Change{Paths: []string{"docs/x"}}, nil, false, "none of the 1 files"},
		"no change at all":                      {paths, push(func(*event) {}), &git.Change{}, nil, false, "none of the 0 files"},
		"paths not to be known":                 {paths, push(func(*event) {}), &git.Change{}, unreachable, true, "branch main; which files it changed is not known: it is on fire"},
		"a new branch":                          {paths, push(func(e *event) { e.before = zero }), nil, nil, true, "which files it changed is not looked at: the branch is new"},
		"a forced push":                         {paths, push(func(e *event) { e.forced = true }), nil, nil, true, "which files it changed is not looked at: commits were dropped by it"},
		"what was before isn't told":            {paths, push(func(e *event) { e.before = "" }), nil, nil, true, "the webhook doesn't say what was before"},
		"a tag has no files":                    {`    tags: ["v*"]` + "\n" + paths, push(func(e *event) { e.ref, e.paths, e.pathsComplete = "refs/tags/v1", files("docs/x"), true }), nil, nil, true, "tag v*"},
		"a message that skips, of a known path": {skip + "\n" + paths, push(func(e *event) { e.message, e.paths = "[skip ci]", files("images/x") }), nil, nil, false, "[skip ci]"},
		"both to be asked for":                  {skip + "\n" + paths, push(func(e *event) { e.message = "" }), &git.Change{Message: "a", Paths: []string{"images/x"}}, nil, true, `path "images/x"`},
	} {
		t.Run(name, func(t *testing.T) {
			asks := 0
			ask := asker(func(_ *declared, before, commit string) (git.Change, error) {
				if asks++; c.asked == nil {
					t.Error("the repository is asked")
					return git.Change{}, nil
				}
				if commit != testCommit || strings.Contains(c.lines, "paths") != (before == otherCommit) {
					t.Errorf("asked is for %q to %q", before, commit)
				}
				return *c.asked, c.err
			}).once()
			d := filtered(t, c.lines)
			v := d.judge(&c.event, ask)
			if v.build != c.build || !v.taken || !strings.Contains(v.why, c.why) {
				t.Errorf("built %v, %q; want %v, %q", v.build, v.why, c.build, c.why)
			}
			if c.asked != nil && asks != 1 {
				t.Errorf("the repository is asked %d times", asks)
			}
		})
	}
}

func TestBadFilters(t *testing.T) {
	for line, want := range map[string]string{
		`paths: ["/images/**"]`: `"/images/**" matches no file: paths begin at the repository's root, without a slash: write "images/**"`,
		`paths: ["./a"]`:        `write "a"`,
		`paths: ["images/"]`:    `write "images/**" for all below the folder`,
		`paths: ["!docs/**"]`:   `begin with what is taken, such as "**"`,
		`paths: []`:             "lists no pattern",
		`paths: ["a[b"]`:        "is not a pattern",
		`skip_ci: maybe`:        "skip_ci: the text",
	} {
		if _, err := LoadPipelines(writeFile(t, item("    "+line))); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ":6: ") {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestTheRepositoryIsAskedWhatAPushChanged has a real one, whose forge tells no files.
func TestTheRepositoryIsAskedWhatAPushChanged(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"images/Dockerfile": "FROM scratch\n"})
	docs := repo.Commit(t, "main", map[string]string{"README.md": "a\n"})
	image := repo.Commit(t, "main", map[string]string{"images/Dockerfile": "FROM scratch\n# 2\n"})
	q := &memoryQueue{}
	var log queuetest.Output
	file := watched(repo.URL, `    paths: ["images/**"]`)
	p, err := New(Config{Pipelines: load(t, file), Queue: q, Logger: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(before, after string) (int, answer) {
		b, _ := json.Marshal(map[string]string{"repository": repo.URL, "ref": mainRef, "before": before, "after": after})
		for _, s := range senders() {
			if s.forge == "generic" {
				status, a, _ := serve(p, s.hook(testSecret, string(b)))
				return status, a
			}
		}
		return 0, answer{}
	}
	if status, a := tell(first, docs); status != 200 || !strings.Contains(a.Ignored, "pipeline base: none of the 1 files that it changed matches paths images/**") {
		t.Errorf("a push of documents: %d, %+v", status, a)
	}
	if status, a := tell(docs, image); status != 202 || a.Builds[0].Matched != `branch main; path "images/Dockerfile" by images/**` || q.stored[0].Matched != a.Builds[0].Matched {
		t.Errorf("a push of the image: %d, %+v", status, a)
	}
	if status, a := tell(strings.Repeat("e", 40), docs); status != 202 || !strings.Contains(a.Builds[0].Matched, "which files it changed is not known") || !strings.Contains(a.Builds[0].Matched, "no such commit") {
		t.Errorf("a push onto a commit that is gone: %d, %+v", status, a)
	}
	server.RequireToken("tok")
	if status, a := tell(first, docs); status != 202 || !strings.Contains(a.Builds[0].Matched, "access to the repository is denied") {
		t.Errorf("a push to a repository that isn't read: %d, %+v", status, a)
	}
	for _, want := range []string{`"ignored":"pipeline base: none of the 1 files`, `"matched":"branch main; path \"images/Dockerfile\" by images/**"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, log.String())
		}
	}
}

// TestAHeadThatIsPassedOverIsNotBuiltAtAStart has documents pushed while no producer ran, and then the image.
func TestAHeadThatIsPassedOverIsNotBuiltAtAStart(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"images/Dockerfile": "FROM scratch\n"})
	c := queuetest.Start(t).Client(t)
	q := builds.New(c)
	file := watched(repo.URL, `    paths: ["images/**"]`)
	var log queuetest.Output
	start := func() map[string]messages.BuildRequested {
		p, err := New(Config{Pipelines: load(t, file), Queue: q, Logger: zerolog.New(&log)})
		if err != nil {
			t.Fatal(err)
		}
		p.poller(nil).pass(context.Background())
		return stored(t, c)
	}
	if got := start(); len(got) != 1 {
		t.Fatalf("at first, asked for are %v", got)
	}
	repo.Commit(t, "main", map[string]string{"README.md": "a\n"})
	if got := start(); len(got) != 1 || !strings.Contains(log.String(), "none of the 1 files that it changed") {
		t.Errorf("after a push of documents, asked for are %v\n%s", got, log.String())
	}
	image := repo.Commit(t, "main", map[string]string{"images/Dockerfile": "FROM scratch\n# 2\n"})
	found := false
	for _, r := range start() {
		found = found || r.Commit == image && r.RequestedBy == messages.SeenAtStart
	}
	if !found || first == image {
		t.Errorf("after a push of the image it is not asked for")
	}
}
