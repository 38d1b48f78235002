package buildkit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder"
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
		"on the build machine":           {"file:///nope/shared.git", there, messages.FailureUser, []string{`"shared"`, "transport 'file' not allowed", ".gitmodules"}},
		"by a path":                      {"/nope/shared.git", there, messages.FailureUser, []string{`"shared"`, "can't be found"}},
		"by an unknown transport":        {"foo://x/shared.git", there, messages.FailureUser, []string{`"shared"`, "'foo' not allowed"}},
		"by a program":                   {"ext::sh -c true", there, messages.FailureUser, []string{`"shared"`, "'ext' not allowed"}},
		"not there":                      {b.git.URL + "/none.git", there, messages.FailureUser, []string{`"shared"`, "can't be found", "/none.git"}},
		"above the host":                 {"../../../../../../shared.git", there, messages.FailureUser, []string{"a submodule", ".gitmodules"}},
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
			f := b.fails(t, o, c.class, "", c.words...)
			if strings.Contains(f.Reason, "no longer has the commit") || len(f.Reason) > 1000 {
				t.Errorf("the reason is not short and true: %s", f.Reason)
			}
			// The second build of it finds the submodule in buildkitd's clone.
			b.fails(t, o, c.class, "", c.words...)
		})
	}
}

// TestASubmoduleThatMoves builds a commit whose submodule is elsewhere than in commits before it.
func TestASubmoduleThatMoves(t *testing.T) {
	b := newBench(t)
	hook := map[string]string{"hooks/pre-running": "#!/bin/sh\n:\n"}
	files := map[string]string{"Dockerfile": "FROM " + b.base + "\nCOPY shared/hooks /etc/stackato/hooks\n"}
	first := b.git.Repository(t, "first")
	one := first.Commit(t, "main", hook)
	two := b.git.Repository(t, "second").Commit(t, "main", map[string]string{"hooks/pre-running": "#!/bin/sh\necho two\n"})
	builds := func(t *testing.T, commit string) {
		t.Helper()
		o := b.order(t, nil)
		o.Commit = commit
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
			t.Fatalf("%v\n%s", err, o.text())
		}
		if strings.Contains(o.text(), "Not a valid object name") {
			t.Errorf("a build that succeeds tells of an error:\n%s", o.text())
		}
	}
	b.repo.Commit(t, "main", files)
	t.Run("to another repository", func(t *testing.T) {
		builds(t, b.repo.CommitSubmodule(t, "main", "shared", first.URL, one))
		builds(t, b.repo.CommitSubmodule(t, "main", "shared", b.git.URL+"/second.git", two))
	})
	t.Run("under several builds at one time", func(t *testing.T) {
		const most = 4
		o := b.order(t, nil)
		crowd := b.git.Repository(t, "crowd")
		crowd.Commit(t, "main", files)
		o.Pipeline.Repository = crowd.URL
		o.Commit = crowd.CommitSubmodule(t, "main", "shared", "file:///nope.git", two)
		b.fails(t, o, messages.FailureUser, "", `"shared"`, "'file' not allowed")
		commit := crowd.CommitSubmodule(t, "main", "shared", "../second.git", two)
		ends := make(chan error, most)
		for range most {
			o := b.order(t, nil)
			o.Pipeline.Repository, o.Commit = crowd.URL, commit
			go func() {
				_, err := b.solver.Solve(t.Context(), o.Build)
				ends <- err
			}()
		}
		for range most {
			// They share the clone, so that one may be too early; it is never the user's fault.
			var f *builder.FailedError
			if err := <-ends; err != nil && (!errors.As(err, &f) || f.Class != messages.FailureInfrastructure) {
				t.Error(err)
			}
		}
	})
	t.Run("from an address that builds may not read", func(t *testing.T) {
		o := b.order(t, nil)
		o.Commit = b.repo.CommitSubmodule(t, "main", "shared", "file:///nope.git", two)
		three := b.git.Repository(t, "third").Commit(t, "main", map[string]string{"hooks/pre-running": "#!/bin/sh\necho three\n"})
		other := b.git.Repository(t, "other")
		other.Commit(t, "main", files)
		o.Pipeline.Repository = other.URL
		o.Commit = other.CommitSubmodule(t, "main", "shared", "file:///nope.git", three)
		b.fails(t, o, messages.FailureUser, "", `"shared"`, "'file' not allowed")
		o.Commit = other.CommitSubmodule(t, "main", "shared", "../third.git", three)
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("in a repository that the Dockerfile adds", func(t *testing.T) {
		added := b.git.Repository(t, "added")
		added.Commit(t, "main", map[string]string{"README": "x"})
		for _, c := range []struct{ url, commit string }{{first.URL, one}, {b.git.URL + "/second.git", two}} {
			at := added.CommitSubmodule(t, "main", "shared", c.url, c.commit)
			builds(t, b.repo.Commit(t, "plain", map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + added.URL + "#" + at + " /added\n"}))
		}
	})
}
