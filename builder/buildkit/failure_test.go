package buildkit_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/messages"
)

func TestUserFailures(t *testing.T) {
	b := newBench(t)
	odd := oddHost(t)
	noShell := b.registry.PushBase(t, "noshell:1", buildkittest.File{Name: "f", Content: "x"})
	for name, c := range map[string]struct {
		dockerfile string
		place      string
		words      []string
	}{
		"a failing RUN":            {"FROM " + b.base + "\nRUN echo one && echo two >&2 && false\n", "Dockerfile:2", []string{"exit status 1", "two", ">>> RUN"}},
		"an unknown instruction":   {"FROM " + b.base + "\nRUNN x\n", "Dockerfile:2", []string{"RUNN", "correct this line"}},
		"an empty Dockerfile":      {"\n", "Dockerfile", []string{"no instructions", "FROM"}},
		"no FROM":                  {"RUN true\n", "Dockerfile:1", []string{"stage"}},
		"a missing file":           {"FROM " + b.base + "\nCOPY nowhere /x\n", "Dockerfile:2", []string{"nowhere", "build context"}},
		"a missing tag":            {"FROM " + b.registry.Host + "/base:none\n", "Dockerfile:1", []string{"there is no image", "/base:none"}},
		"a missing base":           {"FROM " + b.registry.Host + "/none:1\n", "Dockerfile:1", []string{"there is no image", "/none:1"}},
		"a missing copied-from":    {"FROM " + b.base + "\nCOPY --from=" + b.registry.Host + "/none:1 /x /x\n", "Dockerfile:2", []string{"there is no image"}},
		"a base without a shell":   {"FROM " + noShell + "\nRUN true\n", "Dockerfile:2", []string{"no shell", "/bin/sh"}},
		"no base at all":           {"FROM scratch\nRUN true\n", "Dockerfile:2", []string{"no shell", "/bin/sh"}},
		"an unset ARG in FROM":     {"ARG B\nFROM ${B}\n", "Dockerfile:2", []string{"base name"}},
		"a secret nobody gave":     {"FROM " + b.base + "\nRUN --mount=type=secret,id=key,required=true cat /run/secrets/key\n", "Dockerfile:2", []string{`"key"`, "secrets"}},
		"the repository's token":   {"FROM " + b.base + "\nRUN --mount=type=secret,id=GIT_AUTH_TOKEN." + strings.TrimPrefix(b.git.URL, "http://") + " cat /run/secrets/*\n", "Dockerfile:2", []string{"GIT_AUTH_TOKEN"}},
		"an insecure RUN":          {"FROM " + b.base + "\nRUN --security=insecure true\n", "", []string{"insecure"}},
		"a name that is no image":  {"FROM " + b.registry.Host + "/UPPER\n", "Dockerfile:1", []string{"UPPER"}},
		"an ssh key":               {"FROM " + b.base + "\nRUN --mount=type=ssh,required true\n", "Dockerfile:2", []string{"ssh key", "https"}},
		"an unknown user":          {"FROM " + b.base + "\nUSER nouser\nRUN true\n", "Dockerfile:3", []string{"nouser", "correct USER"}},
		"a file that is gone":      {"FROM " + b.base + "\nADD http://" + b.registry.Host + "/nothing /x\n", "", []string{"404", "ADD"}},
		"an added repository":      {"FROM " + b.base + "\nADD http://" + b.registry.Host + "/none.git#main /x\n", "Dockerfile:2", []string{"the Dockerfile adds", "none.git"}},
		"a missing branch to add":  {"FROM " + b.base + "\nADD " + b.repo.URL + "#none /x\n", "Dockerfile:2", []string{"the Dockerfile adds", "none"}},
		"a step of many lines":     {"FROM " + b.base + "\nRUN <<EOF\n" + strings.Repeat("true\n", 5000) + "false\nEOF\n", "Dockerfile:2", []string{"RUN true true"}},
		"Windows line ends":        {"FROM " + b.base + "\r\nCOPY <<\"HOOK\" /etc/hook\r\n#!/bin/sh\r\nHOOK\r\nRUN <<SETUP\r\nmkdir -p /srv/site\r\necho one >/srv/site/mark\r\nSETUP\r\n", "Dockerfile:5", []string{"line", "CRLF", "eol=lf"}},
		"Windows line ends inside": {"FROM " + b.base + "\nRUN <<\"EOF\"\nset -e\r\ntrue\r\nEOF\n", "Dockerfile:2", []string{"CRLF"}},
		"a file that is refused":   {"FROM " + b.base + "\nADD " + odd.URL + "/403/subdir/a.tar /x\n", "", []string{"403", "ADD"}},
		"another file to add":      {"FROM " + b.base + "\nADD --checksum=sha256:" + strings.Repeat("ab", 32) + " " + odd.URL + "/x.tar /x\n", "", []string{"digest mismatch", "ADD"}},
		"a repository by ssh":      {"FROM " + b.base + "\nADD git@git.example.com:a/b.git /x\n", "Dockerfile:2", []string{"git@git.example.com:a/b.git", "by ssh", "https address"}},
		"a missing commit to add":  {"FROM " + b.base + "\nADD " + b.repo.URL + "#" + strings.Repeat("ab", 20) + " /x\n", "Dockerfile:2", []string{"the Dockerfile adds", "not our ref"}},
		"a repository refused":     {"FROM " + b.base + "\nADD " + odd.URL + "/403/a.git#main /x\n", "Dockerfile:2", []string{"the Dockerfile adds", "403"}},
		"words in a file's name":   {"FROM " + b.base + "\nCOPY [\"failed to fetch remote x: git stderr: no space left on device\", \"/x\"]\n", "Dockerfile:2", []string{"build context"}},
		"an unknown stage to copy": {"FROM " + b.base + " AS a\nCOPY --from=5 / /\n", "", []string{"5"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := b.order(t, map[string]string{"Dockerfile": c.dockerfile})
			o.Token = messages.NewSecret("token-of-repository")
			if f := b.fails(t, o, messages.FailureUser, c.place, c.words...); len(f.Detail) > 20_000 || len(f.Reason) > 3000 {
				t.Errorf("a reason of %d bytes, and a detail of %d", len(f.Reason), len(f.Detail))
			}
		})
	}
	t.Run("no Dockerfile", func(t *testing.T) {
		o := b.order(t, map[string]string{"README": "x"})
		o.Pipeline.Dockerfile = "docker/File"
		b.fails(t, o, messages.FailureUser, "", "there is no docker/File in commit")
	})
	t.Run("no folder", func(t *testing.T) {
		o := b.order(t, map[string]string{"README": "x"})
		o.Pipeline.Directory = "none"
		b.fails(t, o, messages.FailureUser, "", "none", "directory")
	})
	t.Run("no such commit", func(t *testing.T) {
		o := b.order(t, nil)
		o.Commit = strings.Repeat("ab", 20)
		b.fails(t, o, messages.FailureUser, "", "no longer has the commit", "push it again")
	})
	t.Run("no such repository", func(t *testing.T) {
		o := b.order(t, nil)
		o.Commit, o.Pipeline.Repository = strings.Repeat("ab", 20), b.git.URL+"/none.git"
		b.fails(t, o, messages.FailureUser, "", "no such repository")
	})
}

// oddHost answers with the status that a path begins with, or with a page.
func oddHost(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		_, _ = fmt.Sscanf(r.URL.Path, "/%d/", &status)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html>\nfatal: repository 'x' not found\n")
	}))
	t.Cleanup(s.Close)
	return s
}

func TestInfrastructureFailures(t *testing.T) {
	b := newBench(t)
	gone := buildkittest.NewRegistry(t)
	gone.Close()
	built := func(t *testing.T) *order {
		return b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN echo " + messages.NewID() + " > /x\n"})
	}
	writes := func(status int) func(*http.Request) int {
		return func(r *http.Request) int {
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				return 0
			}
			return status
		}
	}
	t.Run("registry refuses", func(t *testing.T) {
		b.registry.Refuse(writes(http.StatusForbidden))
		defer b.registry.Refuse(nil)
		b.fails(t, built(t), messages.FailureInfrastructure, "", "pushing to "+b.registry.Host, "login", "docker-config")
	})
	for name, c := range map[string]struct {
		status     int
		code, says string
		words      []string
	}{
		"registry full, which it calls denied":   {507, "DENIED", "requested access to the resource is denied", []string{"507", "make room in the registry"}},
		"registry's disk full":                   {500, "UNKNOWN", "write /var/lib/registry: no space left on device", []string{"500", "make room in the registry"}},
		"registry in trouble, which says denied": {500, "DENIED", "requested access to the resource is denied", []string{"500", "look at the registry's log"}},
		"registry wants no more":                 {429, "TOOMANYREQUESTS", "denied: unauthorized", []string{"429", "no more requests"}},
		"registry without the project":           {404, "NAME_UNKNOWN", "project out not found", []string{"404", "make the repository or project"}},
		"registry with a limit":                  {413, "SIZE_INVALID", "denied", []string{"413", "takes no layer of this size"}},
		"registry in read-only mode":             {405, "UNSUPPORTED", "denied", []string{"405", "read-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			b.registry.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if writes(c.status)(r) == 0 {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, c.code, c.says)
				return true
			})
			defer b.registry.Refuse(nil)
			b.fails(t, built(t), messages.FailureInfrastructure, "", append(c.words, "pushing to")...)
		})
	}
	odd := oddHost(t)
	for name, c := range map[string]struct {
		add   string
		place string
		words []string
	}{
		"an added repository in trouble":     {odd.URL + "/500/not-our-ref/a.git#main", "Dockerfile:2", []string{"the Dockerfile adds", "500"}},
		"an added page":                      {odd.URL + "/a.git#main", "Dockerfile:2", []string{"the Dockerfile adds", "not valid"}},
		"an added repository away":           {"http://" + gone.Host + "/error:404/Authentication-failed.git#main", "Dockerfile:2", []string{"the Dockerfile adds", "connect"}},
		"an added file in trouble":           {odd.URL + "/503/a.tar", "", []string{"can't be fetched now", "503"}},
		"an added file for which is no time": {odd.URL + "/429/a.tar", "", []string{"can't be fetched now", "429"}},
		"an added file away":                 {"http://" + gone.Host + "/invalid-response-status-404/a.tar", "", []string{"can't be fetched now", "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			b.fails(t, b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + c.add + " /x\n"}), messages.FailureInfrastructure, c.place, c.words...)
		})
	}
	for name, address := range map[string]string{
		"a page for the repository":       odd.URL + "/subdir/a.git",
		"a repository in trouble":         odd.URL + "/500/no-such-file-or-directory/Repository-not-found.git",
		"a repository's host not found":   "http://subdir.unable-to-find.invalid/a.git",
		"a repository's host without TLS": "https://" + strings.TrimPrefix(odd.URL, "http://") + "/a.git",
	} {
		t.Run(name, func(t *testing.T) {
			o := b.order(t, nil)
			o.Commit, o.Pipeline.Repository = strings.Repeat("ab", 20), address
			b.fails(t, o, messages.FailureInfrastructure, "", "repository can't be read")
		})
	}
	t.Run("registry full", func(t *testing.T) {
		b.registry.Refuse(writes(http.StatusInsufficientStorage))
		defer b.registry.Refuse(nil)
		b.fails(t, built(t), messages.FailureInfrastructure, "", "pushing to", "make room")
	})
	t.Run("registry gone", func(t *testing.T) {
		o := built(t)
		o.Pipeline.Image = gone.Host + "/out/image"
		b.fails(t, o, messages.FailureInfrastructure, "", "pushing to", "see that the registry is up")
	})
	t.Run("registry of the base gone", func(t *testing.T) {
		o := b.order(t, map[string]string{"Dockerfile": "FROM " + gone.Host + "/base:1\n"})
		b.fails(t, o, messages.FailureInfrastructure, "Dockerfile:1", "does not answer")
	})
	t.Run("registry of the base in trouble", func(t *testing.T) {
		b.registry.Refuse(func(*http.Request) int { return http.StatusBadGateway })
		defer b.registry.Refuse(nil)
		b.fails(t, b.order(t, map[string]string{"Dockerfile": "FROM " + b.registry.Host + "/base:2\n"}), messages.FailureInfrastructure, "Dockerfile:1", "is in trouble")
	})
	t.Run("build machine full", func(t *testing.T) {
		o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN echo 'x: No space left on device' >&2 && false\n"})
		b.fails(t, o, messages.FailureInfrastructure, "Dockerfile:2", "make room on the build machine")
	})
	t.Run("repository unreachable", func(t *testing.T) {
		o := b.order(t, nil)
		o.Commit, o.Pipeline.Repository = strings.Repeat("ab", 20), "http://"+gone.Host+"/x.git"
		b.fails(t, o, messages.FailureInfrastructure, "", "repository can't be read")
	})
	t.Run("afterwards all is well", func(t *testing.T) {
		if _, err := b.solver.Solve(t.Context(), built(t).Build); err != nil {
			t.Fatal(err)
		}
	})
}
