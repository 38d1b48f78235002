package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

func TestPack(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Dockerfile": "FROM scratch\n", "hooks/pre-running": "#!/bin/sh\n", ".git/config": "secret", "sub/.git/kept": "a submodule's own", ".dockerignore": "x",
	} {
		clitest.Write(t, filepath.Join(dir, name), content)
	}
	if err := os.Chmod(filepath.Join(dir, "hooks/pre-running"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": "Dockerfile", "dangling": "nowhere", "out": "/etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := pack(&b, dir, messages.DefaultDockerfile); err != nil {
		t.Fatal(err)
	}
	got := map[string]*tar.Header{}
	var dockerfile []byte
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimSuffix(h.Name, "/")] = h
		if h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s is %d, %q", h.Name, h.Uid, h.Uname)
		}
		if h.Name == "Dockerfile" {
			if dockerfile, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"Dockerfile", "hooks", "hooks/pre-running", "sub/.git/kept", ".dockerignore", "link", "dangling", "out"} {
		if got[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if got[".git"] != nil || got[".git/config"] != nil {
		t.Error("the repository's own .git is in it")
	}
	if string(dockerfile) != "FROM scratch\n" {
		t.Errorf("Dockerfile is %q", dockerfile)
	}
	if h := got["hooks/pre-running"]; h != nil && h.Mode != 0o755 {
		t.Errorf("the hook's mode is %o", h.Mode)
	}
	if h := got["out"]; h != nil && (h.Typeflag != tar.TypeSymlink || h.Linkname != "/etc/passwd" || h.Size != 0) {
		t.Errorf("a link is %+v", h)
	}
}

func TestPackRefusesSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pack(io.Discard, dir, messages.DefaultDockerfile); err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("packing a pipe: %v", err)
	}
}

// TestSubmitRefuses finds mistakes before anything is sent.
func TestSubmitRefuses(t *testing.T) {
	installation(t)
	t.Chdir(t.TempDir())
	clitest.Write(t, "file", "x")
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"two sources":     {[]string{"--commit", commit, "--context", "."}, ExitUsage, "one source"},
		"no producer":     {nil, ExitUsage, "--producer"},
		"a file":          {[]string{"--context", "file"}, ExitUsage, "name the folder"},
		"no such folder":  {[]string{"--context", "none"}, ExitUsage, "name a folder"},
		"producer's away": {[]string{"--producer", "http://127.0.0.1:1", "--token-file", "file"}, ExitFailed, "can't be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fenceline(t, append([]string{"submit", "base"}, test.args...)...)
			if s.status != test.status || !strings.Contains(s.err, test.says) || s.out != "" {
				t.Errorf("%+v, want status %d and %q", s, test.status, test.says)
			}
		})
	}
}

// TestAwaitBuild waits for ends that have come already.
func TestAwaitBuild(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	for build, want := range map[string]string{
		"base-aaaaaaaa": "base-aaaaaaaa: succeeded: " + string(imageOne) + "\n",
		"base-cccccccc": "base-cccccccc: failed\n  at Dockerfile:3\n  no such file\n      | more\n  fix: add it\n  then push, or build the same again: fenceline retry base-cccccccc\n",
		"base-eeeeeeee": "base-eeeeeeee: cancelled\n",
	} {
		var out bytes.Buffer
		err := (&session{queue: c, out: &out}).awaitBuild(t.Context(), build, 0, false)
		if failed := errors.Is(err, errNoImage); failed == (build == "base-aaaaaaaa") || out.String() != want {
			t.Errorf("%s: %v, %q", build, err, out.String())
		}
	}
}

func TestLogs(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	ref := messages.BuildRef{Build: "base-dddddddd", Pipeline: "base", Order: 14}
	for _, l := range []messages.BuildLog{
		{Step: messages.StepClaimed, Text: "by b2"}, {Vertex: "[1/2] RUN true", Text: "one\ntwo\n"}, {Vertex: "[1/2] RUN true", Text: "three"},
	} {
		l.BuildRef, l.Attempt = ref, 2
		if err := c.Publish(t.Context(), "", &l); err != nil {
			t.Fatal(err)
		}
	}
	want := "== claimed (attempt 2)\n   by b2\n-- [1/2] RUN true\n   one\n   two\n   three\n"
	if out := done(t, "logs", ref.Build); out != want {
		t.Errorf("the log is %q", out)
	}
	want += "base-dddddddd: failed\n  late\n  then run: fenceline retry base-dddddddd\n"
	if _, err := store.Builds(c).Modify(t.Context(), ref.Build, func(r *messages.BuildRecord) error {
		r.State, r.Announced = messages.BuildStateFailed, true
		r.Failure = &messages.Failure{Class: messages.FailureTimeout, Reason: "late"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s := fenceline(t, "logs", "-f", ref.Build); s.status != ExitDone || s.out != want { // which has nothing to be drawn any more
		t.Errorf("following one that has ended: %+v", s)
	}
	want = "base-cccccccc: failed\n  at Dockerfile:3\n  no such file\n      | more\n  fix: add it\n" +
		"  then push, or build the same again: fenceline retry base-cccccccc\n"
	for _, args := range [][]string{{"logs", "base-cccccccc"}, {"logs", "-f", "base-cccccccc"}} {
		if out := done(t, args...); out != want {
			t.Errorf("fenceline %v of a failed build prints %q", args, out)
		}
	}
	if out := done(t, "logs", "base-cccccccc", "-o", "json"); out != "" {
		t.Errorf("as JSON, which is the log alone, it has %q", out)
	}
	if s := fenceline(t, "logs", "base-zzzzzzzz"); s.status != ExitFailed || !strings.Contains(s.err, "fenceline builds") {
		t.Errorf("the log of no build: %+v", s)
	}
}
