package buildkit_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestSubmodulesThatFail(t *testing.T) {
	b := newBench(t)
	dockerfile := map[string]string{"Dockerfile": "FROM " + b.base + "\nCOPY shared/hooks /etc/stackato/hooks\n"}
	there := b.git.Repository(t, "shared").Commit(t, "main", map[string]string{"hooks/pre-running": "#!/bin/sh\n:\n"})
	missing := strings.Repeat("ab", 20)
	for name, c := range map[string]struct {
		url, commit string
		class       messages.FailureClass
		words       []string
	}{
		"by ssh, as git writes it":       {"git@git.example.com:ops/shared.git", there, messages.FailureUser, []string{`"shared"`, "git@git.example.com:ops/shared.git", "by ssh", "https address in .gitmodules"}},
		"by ssh, as a URL":               {"ssh://git@127.0.0.1:1/shared.git", there, messages.FailureUser, []string{`"shared"`, "by ssh"}},
		"on the build machine":           {"file:///nope/shared.git", there, messages.FailureUser, []string{`"shared"`, "builds may not read", ".gitmodules"}},
		"by a path":                      {"/nope/shared.git", there, messages.FailureUser, []string{`"shared"`, "builds may not read"}},
		"by an unknown transport":        {"foo://x/shared.git", there, messages.FailureUser, []string{`"shared"`, `"foo" is unknown`}},
		"by a program":                   {"ext::sh -c true", there, messages.FailureUser, []string{`"shared"`, "builds may not read"}},
		"not there":                      {b.git.URL + "/none.git", there, messages.FailureUser, []string{`"shared"`, "can't be found", "/none.git"}},
		"above the host":                 {"../../../../../../shared.git", there, messages.FailureUser, []string{`"shared"`, "above the repository's host", ".gitmodules"}},
		"without its commit":             {b.git.URL + "/shared.git", missing, messages.FailureUser, []string{`"shared"`, missing, "does not have the commit"}},
		"of a host that is away":         {"http://127.0.0.1:1/shared.git", there, messages.FailureInfrastructure, []string{`"shared"`, "can't be read", "connect"}},
		"of a host called after words":   {"http://127.0.0.1:1/not-our-ref/no-such-file/Repository-not-found.git", there, messages.FailureInfrastructure, []string{`"shared"`, "can't be read"}},
		"of a name that isn't found":     {"http://subdir.unable-to-find.invalid/a.git", there, messages.FailureInfrastructure, []string{`"shared"`, "resolve"}},
		"of a git server that is away":   {"git://127.0.0.1:1/shared.git", there, messages.FailureInfrastructure, []string{`"shared"`, "refused"}},
		"of a server that has no such":   {b.git.URL + "/unable%20to%20find.git", there, messages.FailureUser, []string{`"shared"`, "can't be found"}},
		"of a server without its branch": {b.git.URL + "/empty.git", there, messages.FailureUser, []string{`"shared"`, "does not have the commit"}},
	} {
		t.Run(name, func(t *testing.T) {
			repo := b.git.Repository(t, strings.ReplaceAll(name, " ", "-"))
			if strings.HasSuffix(c.url, "/empty.git") {
				b.git.Repository(t, "empty").Commit(t, "main", map[string]string{"README": "x"})
			}
			o := b.order(t, nil)
			repo.Commit(t, "main", dockerfile)
			o.Commit, o.Pipeline.Repository = repo.CommitSubmodule(t, "main", "shared", c.url, c.commit), repo.URL
			f := b.fails(t, o, c.class, ".gitmodules:3", c.words...)
			if strings.Contains(f.Reason, "no longer has the commit") || len(f.Reason) > 1000 {
				t.Errorf("the reason is not short and true: %s", f.Reason)
			}
		})
	}
}

// TestASubmoduleThatMoves builds a commit whose submodule is elsewhere than in commits before it.
func TestASubmoduleThatMoves(t *testing.T) {
	b := newBench(t)
	hook := map[string]string{"hooks/pre-running": "#!/bin/sh\n:\n"}
	first := b.git.Repository(t, "first")
	one := first.Commit(t, "main", hook)
	two := b.git.Repository(t, "second").Commit(t, "main", map[string]string{"hooks/pre-running": "#!/bin/sh\necho two\n"})
	builds := func(t *testing.T, commit, path, want string) {
		t.Helper()
		o := b.order(t, nil)
		o.Commit = commit
		o.Check = func(_ context.Context, image fs.FS) error {
			if text, err := fs.ReadFile(image, path); err != nil || string(text) != want {
				t.Errorf("%s has %q, %v", path, text, err)
			}
			if _, err := fs.Stat(image, "etc/stackato/.git"); err == nil {
				t.Error("git's own files are in the image")
			}
			return nil
		}
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
			t.Fatalf("%v\n%s", err, o.text())
		}
	}
	t.Run("to another repository", func(t *testing.T) {
		b.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM " + b.base + "\nCOPY shared /etc/stackato\n"})
		const path = "etc/stackato/hooks/pre-running"
		builds(t, b.repo.CommitSubmodule(t, "main", "shared", first.URL, one), path, "#!/bin/sh\n:\n")
		builds(t, b.repo.CommitSubmodule(t, "main", "shared", b.git.URL+"/second.git", two), path, "#!/bin/sh\necho two\n")
		o := b.order(t, nil)
		o.Commit = b.repo.CommitSubmodule(t, "main", "shared", "file:///nope.git", two)
		b.fails(t, o, messages.FailureUser, ".gitmodules:3", `"shared"`, "builds may not read")
		builds(t, b.repo.CommitSubmodule(t, "main", "shared", "../second.git", two), path, "#!/bin/sh\necho two\n")
	})
	t.Run("in a repository that the Dockerfile adds", func(t *testing.T) {
		added := b.git.Repository(t, "added")
		added.Commit(t, "main", map[string]string{"README": "x"})
		for _, c := range []struct{ url, commit, want string }{{first.URL, one, "#!/bin/sh\n:\n"}, {b.git.URL + "/second.git", two, "#!/bin/sh\necho two\n"}} {
			at := added.CommitSubmodule(t, "main", "shared", c.url, c.commit)
			for _, ref := range []string{at, "main"} {
				builds(t, b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + added.URL + "#" + ref + " /added\n"}), "added/shared/hooks/pre-running", c.want)
			}
			builds(t, b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + added.URL + "#main:shared/hooks /added\n"}), "added/pre-running", c.want)
		}
		builds(t, b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + first.URL + " /added\n"}), "added/hooks/pre-running", "#!/bin/sh\n:\n")
		o := b.order(t, nil)
		o.Commit = b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD --keep-git-dir=true " + added.URL + "#main /added\n"})
		b.fails(t, o, messages.FailureUser, "Dockerfile:2", "--keep-git-dir takes no repository with submodules")
		at := added.CommitSubmodule(t, "main", "shared", "file:///etc", two)
		o.Commit = b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + added.URL + "#" + at + " /added\n"})
		b.fails(t, o, messages.FailureUser, ".gitmodules:3", `the submodule "shared" (file:///etc) of `+added.URL, "builds may not read")
		builds(t, b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD --keep-git-dir=true " + first.URL + "#main /added\nRUN test -d /added/.git\n"}), "added/hooks/pre-running", "#!/bin/sh\n:\n")
	})
	t.Run("none, by the pipeline", func(t *testing.T) {
		o := b.order(t, nil)
		o.Pipeline.Submodules = messages.SubmodulesNone
		b.repo.Commit(t, "none", map[string]string{"Dockerfile": "FROM " + b.base + "\nCOPY shared /shared\nRUN test -z \"$(ls /shared)\"\n"})
		o.Commit = b.repo.CommitSubmodule(t, "none", "shared", "file:///etc", two)
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
			t.Error(err)
		}
	})
}
