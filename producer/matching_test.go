package producer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// itemURL is the repository of item.
const itemURL = "https://git.example.com/base.git"

// TestPatternsOfBranchesAndTags has what a pipeline file says of them, and pushes.
func TestPatternsOfBranchesAndTags(t *testing.T) {
	for _, c := range []struct {
		lines   string   // of the file, separated by |
		branch  string   // what stands for the pipeline where nobody names a branch
		builds  []string // refs without refs/
		ignores []string
		says    string // of the last that is ignored
	}{
		{"", "main", []string{"heads/main"}, []string{"heads/main2", "heads/a/main", "tags/main"}, `builds tag "main" (base builds branch main)`},
		{`branch: "release/1"`, "release/1", []string{"heads/release/1"}, []string{"heads/main"}, `builds branch "main" (base builds branch release/1)`},
		{`branches: [main]`, "main", []string{"heads/main"}, []string{"tags/main", "heads/dev"}, "base builds branch main"},
		{`branches: ["release/*", main]`, "main", []string{"heads/release/1", "heads/main"}, []string{"heads/release/1/2", "heads/dev"}, "base builds branches release/*, main"},
		{`branches: ["**", "!wip/**", "wip/keep"]`, "wip/keep", []string{"heads/main", "heads/a/b", "heads/wip/keep"}, []string{"tags/v1", "heads/wip/a/b"}, `builds branch "wip/a/b"`},
		{`tags: ["v*"]`, "main", []string{"tags/v1", "tags/v1.2.3"}, []string{"heads/main", "heads/v1", "tags/x"}, "base builds tags v*"},
		{`branch: "a{b}!"|tags: ["v[0-9]+.[0-9]+", "!v0.*"]`, "a{b}!", []string{"heads/a{b}!", "tags/v1.20"}, []string{"tags/v0.1", "tags/v1", "heads/ab!", "heads/main"}, `tags v[0-9]+.[0-9]+, !v0.*`},
		{`branches: ["{main,dev}"]|tags: ["**"]`, "main", []string{"heads/main", "heads/dev", "tags/a/b"}, []string{"notes/x", "heads/x"}, `builds branch "x"`},
	} {
		t.Run(c.lines, func(t *testing.T) {
			lines := []string{"    webhook: {secret_file: hook}"}
			for _, l := range strings.Split(c.lines, "|") {
				lines = append(lines, "    "+l)
			}
			q := &memoryQueue{}
			p, err := New(Config{Pipelines: load(t, item(lines...)), Queue: q, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.inForce.Load().pipelines.All()[0].Branch; got != c.branch {
				t.Errorf("its own branch is %q, want %q", got, c.branch)
			}
			for _, s := range senders() {
				for _, ref := range c.builds {
					status, a, _ := serve(p, s.hook(testSecret, s.payload(itemURL, "refs/"+ref, testCommit)))
					if status != 202 || len(a.Builds) != 1 || a.Builds[0].Ref != "refs/"+ref {
						t.Fatalf("%s by %s: status %d, %+v", ref, s.forge, status, a)
					}
					r := q.stored[len(q.stored)-1]
					branch, isBranch := strings.CutPrefix(ref, "heads/")
					if r.FullRef() != "refs/"+ref || isBranch && (r.Pipeline.Branch != branch || r.Cause != messages.CausePush) || !isBranch && r.Pipeline.Branch != c.branch {
						t.Errorf("%s: stored %+v", ref, r)
					}
				}
				for i, ref := range c.ignores {
					status, a, _ := serve(p, s.hook(testSecret, s.payload(itemURL, "refs/"+ref, testCommit)))
					if status != 200 || len(a.Builds) > 0 || i == len(c.ignores)-1 && !strings.Contains(a.Ignored, c.says) {
						t.Errorf("%s by %s: status %d, %+v; want it ignored saying %q", ref, s.forge, status, a, c.says)
					}
				}
				status, a, _ := serve(p, s.hook(testSecret, s.payload(itemURL, "refs/tags/v1.1", strings.Repeat("0", 40))))
				if status != 200 || !strings.Contains(a.Ignored, `tag "v1.1" was deleted`) {
					t.Errorf("a deleted tag: %d, %+v", status, a)
				}
			}
		})
	}
}

func TestBadPatternsOfBranchesAndTags(t *testing.T) {
	for line, want := range map[string]string{
		`branch: "release/*"`:                   `:6: pipelines[0].branch: "release/*" is a pattern, and this is one branch: write branches: ["release/*"]`,
		`branches: main`:                        `:6: pipelines[0].branches: a single value where a list was expected`,
		`branches: []`:                          `:6: pipelines[0].branches: lists no pattern: write some, or leave it out`,
		`branches: ["!wip/**"]`:                 `begin with what is taken, such as "**"`,
		"branches:\n      - main\n      - !wip": `:8: pipelines[0].branches: !wip without quotes is a tag of YAML, not a pattern: write "!wip"`,
		`branches: [refs/heads/main]`:           `:6: pipelines[0].branches[0]: "refs/heads/main" is a full ref: write the name of a branch alone, such as "main"`,
		`branches: ["release/"]`:                `write "release/**" for all below it`,
		`branches: ["v[1"]`:                     `a [ without a ] after it: write \[ for the character`,
		`branches: [main, main]`:                `"main" is listed twice`,
		`branches: [1.0]`:                       `the number 1.0 where text was expected: put it in quotes`,
		`tags: ["refs/tags/v*"]`:                `write the name of a tag alone, such as "v*"`,
		`tags: ["v 1"]`:                         `has " ", which no tag has in its name`,
		"branch: dev\n    branches: [main]":     `:7: pipelines[0].branches: is given beside branch: put that one into the list, and remove branch`,
	} {
		_, err := LoadPipelines(writeFile(t, item("    "+line)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestSeveralBranchesEachGetTheirBuilds tells of pushes of two branches and a tag, all of them twice.
func TestSeveralBranchesEachGetTheirBuilds(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	file := item("    webhook: {secret_file: hook}", `    branches: [main, "release/*"]`, `    tags: ["v*"]`)
	p, err := New(Config{Pipelines: load(t, file), Queue: builds.New(c)})
	if err != nil {
		t.Fatal(err)
	}
	s := senders()[0]
	commit := func(n int) string { return fmt.Sprintf("%040x", n) }
	for again := range 2 {
		for i, ref := range []string{"refs/heads/main", "refs/heads/release/1", "refs/tags/v1"} {
			status, a, _ := serve(p, s.hook(testSecret, s.payload(itemURL, ref, commit(i+1))))
			if status != 202 || len(a.Builds) != 1 || a.Builds[0].Duplicate != (again > 0) || a.Builds[0].Order != uint64(i+1) {
				t.Errorf("%s, told %d times before: status %d, %+v", ref, again, status, a)
			}
		}
	}
}

// TestCallsNameABranchOrATag asks for builds of what a repository has.
func TestCallsNameABranchOrATag(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	main := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	release := repo.Commit(t, "release/1", map[string]string{"Dockerfile": "FROM scratch\n# 1\n"})
	repo.Tag(t, "v1", release, true)
	for name, c := range map[string]struct {
		refs, body  string
		status      int
		commit, ref string
		say         string
	}{
		"the own branch":               {`branches: ["release/*", main]`, ``, 202, main, "refs/heads/main", ""},
		"another branch":               {`branches: ["release/*", main]`, `,"branch":"release/1"`, 202, release, "refs/heads/release/1", ""},
		"a tag":                        {`tags: ["v*"]`, `,"tag":"v1"`, 202, release, "refs/tags/v1", ""},
		"none where none is meant":     {`tags: ["v*"]`, ``, 422, "", "", "pipeline base builds tags v*, and none of them is meant by itself: name a branch, a tag or a commit"},
		"a branch that isn't built":    {`branches: ["release/*"]`, `,"branch":"main"`, 422, "", "", "branch: pipeline base builds branches release/*: name one of these, or give the commit"},
		"a tag that isn't built":       {`branches: [main, "release/*"]`, `,"tag":"v1"`, 422, "", "", "tag: pipeline base builds"},
		"a branch that isn't there":    {`branches: ["release/*"]`, `,"branch":"release/2"`, 422, "", "", "no such branch"},
		"a tag that isn't there":       {`tags: ["v*"]`, `,"tag":"v2"`, 422, "", "", "no such tag"},
		"what can't be a tag":          {`tags: ["v*"]`, `,"tag":"v 2"`, 400, "", "", "tag: "},
		"a branch and a commit":        {`branches: [main, dev]`, `,"branch":"main","commit":"` + testCommit + `"`, 400, "", "", "branch and commit are both set"},
		"a tag and a branch":           {`branches: [main, dev]`, `,"branch":"main","tag":"v1"`, 400, "", "", "branch and tag are both set"},
		"any commit of what is listed": {`tags: ["v*"]`, `,"commit":"` + testCommit + `"`, 202, testCommit, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			q := &memoryQueue{}
			file := strings.Replace(item("    "+c.refs), itemURL, repo.URL, 1)
			p, err := New(Config{Pipelines: load(t, file), Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}})
			if err != nil {
				t.Fatal(err)
			}
			status, a, _ := serve(p, callRequest(testToken, `{"pipeline":"base"`+c.body+`}`))
			if status != c.status || !strings.Contains(a.Error, c.say) {
				t.Fatalf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
			}
			if status == 202 && (q.stored[0].Commit != c.commit || q.stored[0].FullRef() != c.ref || q.stored[0].Cause != messages.CausePerson) {
				t.Errorf("stored %+v", q.stored[0])
			}
		})
	}
}

// TestHeadsOfSeveralBranchesAreLookedAt has branches of which some were built before, and a producer that starts.
func TestHeadsOfSeveralBranchesAreLookedAt(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	heads := map[string]string{}
	for _, branch := range []string{"main", "release/1", "release/2", "dev"} {
		heads[branch] = repo.Commit(t, branch, map[string]string{"Dockerfile": "FROM scratch\n# " + branch + "\n"})
	}
	repo.Tag(t, "v1", heads["main"], false)
	earlier := heads["release/1"]
	heads["release/1"] = repo.Commit(t, "release/1", map[string]string{"Dockerfile": "FROM scratch\n# later\n"})
	c := queuetest.Start(t).Client(t)
	q := builds.New(c)
	file := watched(repo.URL, `    branches: [main, "release/*"]`, `    tags: ["v*"]`)
	r := &messages.BuildRequested{Build: "base-aaaaaaaa", Pipeline: load(t, file).All()[0], Commit: earlier, Cause: messages.CausePush}
	r.SetRef("refs/heads/release/1")
	if _, err := q.Request(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	var log queuetest.Output
	for range 2 {
		p, err := New(Config{Pipelines: load(t, file), Queue: q, Logger: zerolog.New(&log)})
		if err != nil {
			t.Fatal(err)
		}
		p.poller(nil).pass(t.Context())
	}
	got := map[string]string{}
	for _, b := range stored(t, c) {
		if b.Build != r.Build {
			got[b.Ref] = b.Commit
		}
	}
	if len(got) != 2 || got["refs/heads/main"] != heads["main"] || got["refs/heads/release/1"] != heads["release/1"] {
		t.Errorf("asked for are %v", got)
	}
	if !strings.Contains(log.String(), `"such_as":["refs/heads/release/2","refs/tags/v1"]`) {
		t.Errorf("it says nothing of release/2:\n%s", log.String())
	}
}
