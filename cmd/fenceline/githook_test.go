package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/producer"
)

// gitServer is a bare repository with the hook, a clone of it, and a producer that can be away.
type gitServer struct {
	bare, clone, address string
	client               *queue.Client
	handler              http.Handler
	running              *http.Server
}

const gitServerURL = "https://git.example.com/ops/base.git"

func newGitServer(t *testing.T, pipeline ...string) *gitServer {
	t.Helper()
	dir := t.TempDir()
	s := &gitServer{bare: filepath.Join(dir, "base.git"), clone: filepath.Join(dir, "clone"), client: queuetest.Start(t).Client(t)}
	secret, file := filepath.Join(dir, "secret"), filepath.Join(dir, "fenceline.yaml")
	text := "version: 1\npipelines:\n  - name: base\n    repository: " + gitServerURL + "\n    image: registry.example.com/base\n    webhook: {secret_file: secret}\n" + strings.Join(pipeline, "\n") + "\n"
	hook := fmt.Sprintf("#!/bin/sh\n%s='hook post-receive' exec %s\n", commandLine, os.Args[0])
	s.git(t, "", "init", "--quiet", "--bare", "--initial-branch=main", s.bare)
	for path, content := range map[string]string{secret: "a-secret-of-the-hooks-of-base\n", file: text, filepath.Join(s.bare, "hooks", "post-receive"): hook} {
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	pipelines, err := producer.LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(producer.Config{Pipelines: pipelines, Queue: builds.New(s.client)})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = p.Handler()
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	for key, value := range map[string]string{"url": "http://" + s.address + "/hooks/generic", "repository": gitServerURL, "secret-file": secret} {
		s.git(t, s.bare, "config", "fenceline."+key, value)
	}
	s.git(t, "", "clone", "--quiet", s.bare, s.clone)
	s.git(t, s.clone, "checkout", "--quiet", "-B", "main")
	return s
}

// start has the producer listen where it did before.
func (s *gitServer) start(t *testing.T) {
	t.Helper()
	if s.address == "" {
		s.address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.running = l.Addr().String(), &http.Server{Handler: s.handler}
	go func() { _ = s.running.Serve(l) }()
}

func (s *gitServer) stop(t *testing.T) {
	t.Helper()
	if err := s.running.Close(); err != nil {
		t.Error(err)
	}
}

// git runs git, and returns what it says.
func (s *gitServer) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s\n(the tests need the program git)", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// commit makes a commit with a file, and returns it.
func (s *gitServer) commit(t *testing.T, file, content string) string {
	t.Helper()
	path := filepath.Join(s.clone, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	s.git(t, s.clone, "add", "--all")
	s.git(t, s.clone, "commit", "--quiet", "--allow-empty", "--message=change "+file)
	return strings.TrimSpace(s.git(t, s.clone, "rev-parse", "HEAD"))
}

// asked lists what is asked for: ref and commit.
func (s *gitServer) asked(t *testing.T) []string {
	t.Helper()
	var all []string
	err := s.client.Read(queuetest.Within(t), s.client.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		if b, ok := r.Payload.(*messages.BuildRequested); ok {
			all = append(all, b.FullRef()+" "+b.Commit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *gitServer) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	if got := s.asked(t); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked for are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// kept is how many pushes are kept.
func (s *gitServer) kept(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.bare, "fenceline-spool", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestPushesToAPlainGitServer pushes to a real one, with the producer there, away, and back.
func TestPushesToAPlainGitServer(t *testing.T) {
	s := newGitServer(t, `    branches: [main, "release/*"]`, `    tags: ["v*"]`, `    paths: ["image/**"]`)
	first := s.commit(t, "image/Dockerfile", "FROM scratch\n")
	if said := s.git(t, s.clone, "push", "origin", "main"); !strings.Contains(said, "remote: fenceline: build base-") || !strings.Contains(said, " queued (refs/heads/main)") {
		t.Errorf("a push that is built says\n%s", said)
	}
	s.git(t, s.clone, "tag", "--annotate", "--message=a release", "v1")
	if said := s.git(t, s.clone, "push", "origin", "v1", "main:wip"); strings.Count(said, "fenceline:") != 1 || !strings.Contains(said, " queued (refs/tags/v1)") {
		t.Errorf("a push of a tag, and of a branch that nobody builds, says\n%s", said)
	}
	s.commit(t, "README.md", "a\n")
	if said := s.git(t, s.clone, "push", "origin", "main"); strings.Contains(said, "fenceline:") {
		t.Errorf("a push of documents says\n%s", said)
	}
	s.wantAsked(t, "refs/heads/main "+first, "refs/tags/v1 "+first)
	if n := s.kept(t); n != 0 {
		t.Errorf("%d pushes are kept", n)
	}

	s.stop(t)
	s.commit(t, "image/Dockerfile", "FROM scratch\n# 2\n")
	if said := s.git(t, s.clone, "push", "origin", "main", "main:release/1"); !strings.Contains(said, "the push stands; the next push tells it, or 'fenceline hook flush'") {
		t.Errorf("a push with the producer away says\n%s", said)
	}
	third := s.commit(t, "README.md", "b\n")
	s.git(t, s.clone, "push", "origin", "main")
	s.git(t, s.clone, "push", "origin", ":wip") // is gone by then
	if n := s.kept(t); n != 4 {
		t.Errorf("%d pushes are kept, want 4", n)
	}
	if s := fenceline(t, "hook", "flush", "--git-dir", s.bare); s.status != cli.ExitFailed || !strings.Contains(s.err, "is not told yet") {
		t.Errorf("flushing with the producer away: %+v", s)
	}
	s.start(t)
	second := strings.TrimSpace(s.git(t, s.clone, "rev-parse", "HEAD^"))
	if f := fenceline(t, "hook", "flush", "--git-dir", s.bare); f.status != cli.ExitDone || strings.Count(f.out, " queued (") != 2 {
		t.Errorf("flushing with the producer back: %+v", f)
	}
	s.wantAsked(t, "refs/heads/main "+first, "refs/tags/v1 "+first, "refs/heads/release/1 "+second, "refs/heads/main "+third)
	if n := s.kept(t); n != 0 {
		t.Errorf("%d pushes are kept", n)
	}
	if f := fenceline(t, "hook", "flush", "--git-dir", s.bare); f.status != cli.ExitDone || f.out+f.err != "" {
		t.Errorf("flushing nothing: %+v", f)
	}
}

// TestAPushStandsWhateverIsWrongWithTheHook breaks what the hook needs.
func TestAPushStandsWhateverIsWrongWithTheHook(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*testing.T, *gitServer)
		says   string
		kept   int
	}{
		"no secret": {func(t *testing.T, s *gitServer) { s.git(t, s.bare, "config", "fenceline.secret-file", s.bare+"/none") }, "no such file", 1},
		"a wrong secret": {func(t *testing.T, s *gitServer) {
			if err := os.WriteFile(s.bare+"/other", []byte("another-secret-of-nobody"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.git(t, s.bare, "config", "fenceline.secret-file", s.bare+"/other")
		}, "the signature does not match", 1},
		"no address": {func(t *testing.T, s *gitServer) { s.git(t, s.bare, "config", "--unset", "fenceline.url") }, "git config fenceline.url", 0},
		"no room for what is kept": {func(t *testing.T, s *gitServer) {
			if err := os.WriteFile(s.bare+"/fenceline-spool", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "pushes can't be kept", 0},
		"no room, and the producer away": {func(t *testing.T, s *gitServer) {
			if err := os.WriteFile(s.bare+"/fenceline-spool", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.git(t, s.bare, "config", "fenceline.url", "http://127.0.0.1:1/hooks/generic")
		}, "nor is it kept", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGitServer(t)
			c.breaks(t, s)
			commit := s.commit(t, "Dockerfile", "FROM scratch\n")
			if said := s.git(t, s.clone, "push", "origin", "main"); !strings.Contains(said, c.says) || strings.Contains(said, "a-secret-of") || strings.Contains(said, "another-secret") {
				t.Errorf("it says\n%s\nwant %q", said, c.says)
			}
			if head := strings.TrimSpace(s.git(t, s.bare, "rev-parse", "main")); head != commit {
				t.Errorf("the push did not stand: %s, want %s", head, commit)
			}
			if n := s.kept(t); n != c.kept {
				t.Errorf("%d pushes are kept, want %d", n, c.kept)
			}
		})
	}
}

// TestPushesAtOnceAreEachToldOnce pushes branches side by side.
func TestPushesAtOnceAreEachToldOnce(t *testing.T) {
	s := newGitServer(t, `    branches: ["b*"]`)
	commit := s.commit(t, "Dockerfile", "FROM scratch\n")
	s.git(t, s.bare, "config", "receive.autogc", "false")
	t.Setenv("FENCELINE_TIMEOUT", "2m")
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { s.git(t, s.clone, "push", s.bare, fmt.Sprintf("main:b%d", i)) })
	}
	all.Wait()
	got := map[string]int{}
	for _, a := range s.asked(t) {
		got[a]++
	}
	for i := range 6 {
		if n := got[fmt.Sprintf("refs/heads/b%d %s", i, commit)]; n != 1 {
			t.Errorf("b%d is asked for %d times", i, n)
		}
	}
	if n := s.kept(t); n != 0 || len(got) != 6 {
		t.Errorf("%d pushes are kept, asked for are %v", n, got)
	}
}

// TestAFolderThatIsNoRepository is said to be none, whatever else is missing.
func TestAFolderThatIsNoRepository(t *testing.T) {
	s := newGitServer(t)
	for _, dir := range []string{t.TempDir(), filepath.Join(s.bare, "none"), filepath.Join(s.bare, "config")} {
		var said strings.Builder
		status := cli.Execute(t.Context(), cli.NewRoot(), []string{"hook", "flush", "--git-dir", dir}, strings.NewReader(""), &said, &said)
		if status != cli.ExitUsage || !strings.Contains(said.String(), "--git-dir "+dir+" is no repository's own folder") {
			t.Errorf("%s: %d: %s", dir, status, said.String())
		}
	}
}
