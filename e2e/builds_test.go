package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// fullRegistry starts a registry that takes nothing, as one does whose disk is full, and
// returns its address. It ends with the process.
func fullRegistry() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusInsufficientStorage)
			fmt.Fprint(w, `{"errors":[{"code":"UNKNOWN","message":"no space left on device"}]}`)
		}
	}))
	return strings.TrimPrefix(s.URL, "http://")
}

// TestBadSources has what users get wrong in their repository: each build fails with the
// cause and the place, and without a retry.
func TestBadSources(t *testing.T) {
	s := shared.get(t)
	hookless := func(dockerfile string) map[string]string { return map[string]string{"Dockerfile": dockerfile} }
	tests := []struct {
		name, pipeline string
		files          map[string]string
		class          string
		says           string // a pattern in the failure
	}{
		{"no Dockerfile", "bad", map[string]string{"README": "nothing to build\n"}, "user", `Dockerfile`},
		{"a Dockerfile error", "bad", hookless("ARG BASE\nFROM ${BASE}\nRUNN echo\n"), "user", `(?i)Dockerfile:3.*RUNN|RUNN.*Dockerfile:3`},
		{"a failing RUN", "bad", hookless("ARG BASE\nFROM ${BASE}\nRUN echo why it fails; exit 7\n"), "user", `why it fails`},
		{"a missing base", "nobase", exporting("x"), "user", `base/missing|missing`},
		{"a base with no shell", "noshell", hookless("ARG BASE\nFROM ${BASE}\nRUN echo hello\n"), "user", `/bin/sh`},
		{"a hook without its interpreter", "noshell", map[string]string{
			"Dockerfile":        "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\n",
			"hooks/pre-running": "#!/bin/sh\nexport A=1\n",
		}, "hooks", `/bin/sh`},
		{"a stray file among the hooks", "bad", map[string]string{
			"Dockerfile":      "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\n",
			"hooks/pre-stage": "#!/bin/sh\n",
		}, "hooks", `pre-staging`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := s.only(t, test.pipeline, test.files)
			if b.State != "failed" || b.Failure == nil {
				t.Fatalf("it ended as %+v", b)
			}
			said := strings.Join([]string{b.Failure.Reason, b.Failure.Place, b.Failure.Detail, b.Failure.Fix, fmt.Sprint(b.Failure.Findings)}, "\n")
			if b.Failure.Class != test.class {
				t.Errorf("its class is %s, want %s: %s", b.Failure.Class, test.class, said)
			}
			if !regexp.MustCompile(`(?s)` + test.says).MatchString(said) {
				t.Errorf("it says %q, without %s", said, test.says)
			}
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
	for _, test := range []struct{ name, pipeline, says string }{
		{"a registry that is gone", "registrygone", `connection refused`},
		{"a registry that is full", "registryfull", `507|no space|Insufficient`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := s.ended(t, s.build(t, test.pipeline, exporting("x")))
			if b.State != "failed" || b.Failure == nil || b.Failure.Class != "infrastructure" {
				t.Fatalf("it ended as %+v", b)
			}
			said := b.Failure.Reason + b.Failure.Detail
			if !regexp.MustCompile(test.says).MatchString(said) {
				t.Errorf("it says %q, without %s", said, test.says)
			}
		})
	}
	t.Run("a repository that can't be reached", func(t *testing.T) {
		repository := s.pipelineRepository(t, "unreachable")
		got, err := s.send(t.Context(), s.pushHook(repository, "refs/heads/main", strings.Repeat("a", 40)))
		if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		b := s.ended(t, got.Builds[0].Build)
		if b.State != "failed" || b.Failure == nil || !strings.Contains(b.Failure.Reason+b.Failure.Detail, repository) {
			t.Errorf("it ended as %+v; want a failure that names %s", b, repository)
		}
	})
	t.Run("a commit that no longer exists", func(t *testing.T) {
		s.push(t, "hooks", exporting("gone"))
		got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/hooks.git", "refs/heads/main", strings.Repeat("a", 40)))
		if err != nil || len(got.Builds) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		if b := s.ended(t, got.Builds[0].Build); b.State != "superseded" {
			t.Errorf("it ended as %+v; want superseded, as the branch's head is another", b)
		}
	})
	t.Run("nothing is lost", func(t *testing.T) {
		b := s.only(t, "hooks", exporting("after all that"))
		if b.State != "succeeded" {
			t.Errorf("a good build afterwards ended as %+v", b)
		}
	})
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
