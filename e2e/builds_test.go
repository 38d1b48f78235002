package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// TestBadSources has what users get wrong in their repository: each build fails with the
// cause, the place and a fix, and without a retry.
func TestBadSources(t *testing.T) {
	s := shared.get(t)
	defer s.unharmed(t, "flow")()
	hookless := func(dockerfile string) map[string]string { return map[string]string{"Dockerfile": dockerfile} }
	tests := []struct {
		name, pipeline string
		files          map[string]string
		class          string
		says           []string // patterns
	}{
		{"no Dockerfile", "bad", map[string]string{"README": "nothing to build\n"}, "user", []string{`there is no Dockerfile in commit`, `add it`}},
		{"a Dockerfile error", "bad", hookless("ARG BASE\nFROM ${BASE}\nRUNN echo\n"), "user", []string{`Dockerfile:3`, `RUNN`, `correct this line`}},
		{"a failing RUN", "bad", hookless("ARG BASE\nFROM ${BASE}\nRUN echo why it fails; exit 7\n"), "user", []string{`exit status 7`, `why it fails`, `correct the command`}},
		{"a missing base", "nobase", exporting("x"), "user", []string{`there is no image .*base/missing`, `push the base image first`}},
		{"a base with no shell", "noshell", hookless("ARG BASE\nFROM ${BASE}\nRUN echo hello\n"), "user", []string{`has no shell`, `use a base that has /bin/sh`}},
		{"a hook without its interpreter", "noshell", map[string]string{
			"Dockerfile":        "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\n",
			"hooks/pre-running": "#!/bin/sh\nexport A=1\n",
		}, "hooks", []string{`pre-running`, `/bin/sh`}},
		{"a stray file among the hooks", "bad", map[string]string{
			"Dockerfile":      "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\n",
			"hooks/pre-stage": "#!/bin/sh\n",
		}, "hooks", []string{`pre-stage\b`, `pre-staging`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := s.only(t, test.pipeline, test.files)
			s.explains(t, b, test.class, test.says...)
			if b.Attempt != 1 {
				t.Errorf("it was tried %d times: a user's error is the same everywhere", b.Attempt)
			}
		})
	}
}

// only builds exactly these files: what was in the repository before is removed.
func (s *stack) only(t *testing.T, pipeline string, files map[string]string) build {
	t.Helper()
	if err := s.repo(t, pipeline).Folder(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s.ended(t, s.build(t, pipeline, files))
}

// TestBrokenSurroundings has what is nobody's commit's fault: it ends as such when the
// attempts are used up, and says what could not be reached.
func TestBrokenSurroundings(t *testing.T) {
	s := shared.get(t)
	defer s.unharmed(t, "flow")()
	for _, test := range []struct{ name, pipeline, cause, fix string }{
		{"a registry that is gone", "registrygone", `connection refused`, `see that the registry is up`},
		{"a registry that is full", "registryfull", `no space left`, `make room in the registry`},
		{"a registry that refuses", "registryrefuses", `denied`, `give the builders a login that may push there`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.explains(t, s.ended(t, s.build(t, test.pipeline, exporting("x"))), "infrastructure", test.cause, test.fix)
		})
	}
	t.Run("a registry that comes back", s.registryComesBack)
	t.Run("a repository that can't be reached", func(t *testing.T) {
		repository := s.pipelineRepository(t, "unreachable")
		got, err := s.send(t.Context(), s.pushHook(repository, "refs/heads/main", strings.Repeat("a", 40)))
		if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		s.explains(t, s.ended(t, got.Builds[0].Build), "infrastructure", regexp.QuoteMeta(repository), `check that builders can reach`)
	})
}

// registryComesBack pushes to a registry that takes nothing for a while: the build is tried
// again until its image is there.
func (s *stack) registryComesBack(t *testing.T) {
	shared.late.answer(http.StatusServiceUnavailable)
	id := s.build(t, "registrylate", exporting("late-"+rand.Text()))
	await(t, "a failed attempt", func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		for _, b := range builds {
			if b.Build == id && b.LastError != "" {
				if !strings.Contains(b.LastError, "try again later") {
					t.Errorf("after an attempt it is %+v; want the registry's reason", b)
				}
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("builds: %+v", builds))
	})
	shared.late.answer(0)
	b := s.ended(t, id)
	if b.State != "succeeded" || b.Attempt < 2 {
		t.Fatalf("it ended as %+v", b)
	}
	if err := shared.late.has(t.Context(), b.Image); err != nil {
		t.Error(err)
	}
}

// TestMissingCommit asks for a commit that no longer exists: by a push that was followed by
// another, and by a person, who is told.
func TestMissingCommit(t *testing.T) {
	s := shared.get(t)
	gone := strings.Repeat("a", 40)
	s.only(t, "bad", exporting("newer"))
	got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/bad.git", "refs/heads/main", gone))
	if err != nil || len(got.Builds) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	lost := got.Builds[0].Build
	await(t, "another look at what may be a mirror that is behind", func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		if err == nil && !slices.ContainsFunc(builds, func(b build) bool { return b.Build == lost && strings.Contains(b.LastError, "it is asked again") }) {
			err = fmt.Errorf("builds: %+v", builds)
		}
		return err
	})
	s.only(t, "bad", exporting("newest")) // the next push settles it
	if b := s.ended(t, lost); b.State != "superseded" {
		t.Errorf("it ended as %+v; want superseded, as the branch's head is another", b)
	}
	s.submitFails(t, []string{"bad", "--commit", gone}, "no longer has the commit "+gone, "fix: push it again")
}

// submitFails has `fenceline submit --wait` fail with status 1, and say why.
func (s *stack) submitFails(t *testing.T, args []string, wants ...string) {
	t.Helper()
	out, err := s.Run(t.Context(), append([]string{"submit", "--wait"}, args...)...)
	var failure *site.CommandError
	if !errors.As(err, &failure) || failure.Status != 1 {
		t.Fatalf("submit ended with %v and %q; want status 1", err, out)
	}
	says(t, out, wants...)
}

// pipelineRepository is what fenceline.yaml says of a pipeline.
func (s *stack) pipelineRepository(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name: ` + name + `\n\s+repository: (\S+)`).FindStringSubmatch(read(t, s.config()))
	if m == nil {
		t.Fatalf("no pipeline %s in %s", name, s.config())
	}
	return m[1]
}
