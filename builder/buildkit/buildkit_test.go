package buildkit_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

// bench is what a test of the solver works with.
type bench struct {
	daemon   *buildkittest.Daemon
	registry *buildkittest.Registry
	git      *gittest.Server
	repo     *gittest.Repository
	solver   *buildkit.Solver
	base     string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{daemon: buildkittest.Start(t), registry: buildkittest.NewRegistry(t), git: gittest.Start(t)}
	b.repo = b.git.Repository(t, "image")
	b.base = b.registry.Busybox(t, "base:1")
	b.solver = newSolver(t, buildkit.Config{Address: b.daemon.Address})
	return b
}

func newSolver(t *testing.T, c buildkit.Config) *buildkit.Solver {
	t.Helper()
	s, err := buildkit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// order is a build of files committed to the repository, with what it logged.
type order struct {
	builder.Build
	bases []messages.PinnedBase

	mu   sync.Mutex
	logs []messages.BuildLog
}

func (b *bench) order(t *testing.T, files map[string]string) *order {
	t.Helper()
	o := new(order)
	o.Build = builder.Build{
		Pipeline: &messages.Pipeline{
			Name: "p", Repository: b.repo.URL, Branch: "main", Dockerfile: "Dockerfile",
			Image: b.registry.Host + "/out/image", HooksDir: messages.DefaultHooksDir,
		},
		Log: func(l messages.BuildLog) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.logs = append(o.logs, l)
		},
		Pinned: func(_ context.Context, bases []messages.PinnedBase) error { o.bases = bases; return nil },
		Check:  func(context.Context, fs.FS) error { return nil },
	}
	if files != nil {
		o.Commit = b.repo.Commit(t, "main", files)
	}
	return o
}

func (o *order) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var s strings.Builder
	for _, l := range o.logs {
		s.WriteString(l.Vertex + ": " + l.Text + "\n")
	}
	return s.String()
}

// fails solves and returns the failure, which must be of the class and have the words.
func (b *bench) fails(t *testing.T, o *order, class messages.FailureClass, place string, words ...string) messages.Failure {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := b.solver.Solve(ctx, o.Build)
	var f *builder.FailedError
	if !errors.As(err, &f) {
		t.Fatalf("error %v, want a FailedError", err)
	}
	t.Logf("%+v", f.Failure)
	if f.Class != class || f.Place != place {
		t.Errorf("class %s at %q, want %s at %q", f.Class, f.Place, class, place)
	}
	all := f.Reason + "\n" + f.Detail + "\n" + f.Fix
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("failure lacks %q:\n%s", w, all)
		}
	}
	if f.Fix == "" || f.Reason == "" {
		t.Errorf("failure without reason or fix: %+v", f.Failure)
	}
	return f.Failure
}

func TestSolve(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{
		"sub/Dockerfile":        "# syntax=example.com/other:1\nARG BASE\nFROM ${BASE} AS one\nRUN echo built > /out\nFROM " + b.base + "\nCOPY --from=one /out /out\nADD hooks /etc/stackato/hooks\n",
		"sub/hooks/pre-running": "#!/bin/sh\n:\n",
	})
	o.Pipeline.Directory = "sub"
	o.Pipeline.BuildArgs = map[string]string{"BASE": b.base}
	var report *hooks.Report
	o.Check = func(_ context.Context, image fs.FS) (err error) {
		report, err = hooks.Check(image, messages.DefaultHooksDir)
		return err
	}
	solved, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil {
		t.Fatal(err)
	}
	image := b.registry.Image(t, solved.Image.String())
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, l := range manifest.Layers {
		bytes += l.Size
	}
	if solved.Bytes != bytes || bytes == 0 {
		t.Errorf("%d bytes, the manifest has %d", solved.Bytes, bytes)
	}
	if len(solved.Bases) != 1 || solved.Bases[0].Source != b.base || solved.Bases[0].Image.Name() != b.registry.Host+"/base" {
		t.Errorf("bases %+v", solved.Bases)
	}
	if len(o.bases) != 1 {
		t.Errorf("Pinned got %+v", o.bases)
	}
	if len(report.Hooks) != 1 || len(report.Findings) != 0 {
		t.Errorf("report %+v", report)
	}
	if !strings.Contains(o.text(), "example.com/other:1") {
		t.Errorf("no remark about the frontend:\n%s", o.text())
	}
	for range 2 {
		if err := b.solver.Tag(t.Context(), solved.Image, "abc"); err != nil {
			t.Fatal(err)
		}
	}
	if err := newSolver(t, buildkit.Config{Address: b.daemon.Address}).Tag(t.Context(), solved.Image, "def"); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"abc", "def"} {
		if d, err := b.registry.Image(t, solved.Image.Name()+":"+tag).Digest(); err != nil || d.String() != solved.Image.Digest() {
			t.Errorf("tag %s is %s, %v", tag, d, err)
		}
	}
	again, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil {
		t.Fatal(err)
	}
	if again.Image != solved.Image {
		t.Errorf("the same build gave %s and %s", solved.Image, again.Image)
	}
}

func TestSolveUsesWhatWasPinned(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN cat /etc/os-release > /seen\n"})
	moved := false
	o.Pinned = func(context.Context, []messages.PinnedBase) error {
		if !moved {
			b.registry.Busybox(t, "base:1", buildkittest.File{Name: "etc/os-release", Content: "NAME=moved\n"})
		}
		moved = true
		return nil
	}
	var seen string
	o.Check = func(_ context.Context, image fs.FS) error {
		text, err := fs.ReadFile(image, "seen")
		seen = string(text)
		return err
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if seen != "NAME=busybox\n" {
		t.Errorf("built on %q after the tag moved", seen)
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if seen != "NAME=moved\n" {
		t.Errorf("the next build used %q, not where the tag is", seen)
	}
}

func TestSolveFromAFolder(t *testing.T) {
	b := newBench(t)
	o := b.order(t, nil)
	o.Context = t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Context, "Dockerfile"), []byte("FROM "+b.base+"\nCOPY Dockerfile /d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(o.Context, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	b.fails(t, o, messages.FailureUser, "", "there is no Dockerfile")
}

func TestFilesOfTheImage(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN mkdir -p /a/d && echo 1 > /a/f && ln -s f /a/l && ln -s /nowhere /a/n && ln -s /a/d /a/ld && ln -s ../../../../../etc/os-release /a/up && chmod 4755 /a/f\n"})
	o.Check = func(_ context.Context, image fs.FS) error {
		for name, want := range map[string]error{"a": nil, "a/f": nil, "a/l": nil, "a/up": nil, "a/n": fs.ErrNotExist, "none": fs.ErrNotExist, "none/x/y": fs.ErrNotExist, "a/f/x": fs.ErrNotExist, "../etc": fs.ErrInvalid} {
			if _, err := fs.Stat(image, name); !errors.Is(err, want) {
				t.Errorf("stat %s: %v, want %v", name, err, want)
			}
		}
		if s, err := fs.ReadFile(image, "a/up"); err != nil || string(s) != "NAME=busybox\n" {
			t.Errorf("read %q, %v", s, err)
		}
		if _, err := fs.ReadDir(image, "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("reading a missing folder: %v", err)
		}
		if _, err := fs.ReadDir(image, "a/f"); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("reading a file as a folder: %v", err)
		}
		entries, err := fs.ReadDir(image, "a")
		if err != nil || len(entries) != 6 || entries[4].Name() != "n" || entries[4].Type() != fs.ModeSymlink {
			t.Errorf("entries %v, %v", entries, err)
		}
		return nil
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
}

func TestUserFailures(t *testing.T) {
	b := newBench(t)
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
		"an unset ARG in FROM":     {"ARG B\nFROM ${B}\n", "Dockerfile:2", []string{"base name"}},
		"a secret nobody gave":     {"FROM " + b.base + "\nRUN --mount=type=secret,id=key,required=true cat /run/secrets/key\n", "Dockerfile:2", []string{`"key"`, "secrets"}},
		"the repository's token":   {"FROM " + b.base + "\nRUN --mount=type=secret,id=GIT_AUTH_TOKEN." + strings.TrimPrefix(b.git.URL, "http://") + " cat /run/secrets/*\n", "Dockerfile:2", []string{"GIT_AUTH_TOKEN"}},
		"an insecure RUN":          {"FROM " + b.base + "\nRUN --security=insecure true\n", "", []string{"insecure"}},
		"a name that is no image":  {"FROM " + b.registry.Host + "/UPPER\n", "Dockerfile:1", []string{"UPPER"}},
		"an unknown stage to copy": {"FROM " + b.base + " AS a\nCOPY --from=5 / /\n", "", []string{"5"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := b.order(t, map[string]string{"Dockerfile": c.dockerfile})
			o.Token = messages.NewSecret("token-of-repository")
			b.fails(t, o, messages.FailureUser, c.place, c.words...)
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
	t.Run("over ssh", func(t *testing.T) {
		o := b.order(t, nil)
		o.Commit, o.Pipeline.Repository = strings.Repeat("ab", 20), "ssh://git@example.com/x.git"
		b.fails(t, o, messages.FailureUser, "", "https")
	})
}

func TestTheRepositorysToken(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN true\n"})
	b.git.RequireToken("token-of-repository")
	b.fails(t, o, messages.FailureUser, "", "repository_token")
	o.Token = messages.NewSecret("token-of-repository")
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
}

func TestTheTokenReadsNoOtherRepository(t *testing.T) {
	b := newBench(t)
	other := b.git.Repository(t, "other")
	other.Commit(t, "main", map[string]string{"private": "text"})
	b.git.RequireToken("token-of-repository")
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + other.URL + "#main /other\n"})
	o.Token = messages.NewSecret("token-of-repository")
	b.fails(t, o, messages.FailureUser, "", other.URL, "repository_token")

	o = b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + b.repo.URL + "#main /again\n"})
	o.Token = messages.NewSecret("token-of-repository")
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Errorf("reading its own repository again: %v", err)
	}
}

func TestATagOfTwoDigests(t *testing.T) {
	b := newBench(t)
	before := b.registry.Image(t, b.base)
	old, err := before.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b.registry.Busybox(t, "base:1", buildkittest.File{Name: "new", Content: "text"})
	name := strings.TrimSuffix(b.base, ":1")
	now, err := b.registry.Image(t, b.base).Digest()
	if err != nil {
		t.Fatal(err)
	}
	const rest = "\nCOPY --from=a /etc/os-release /a\n"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "@" + old.String() + " AS a\nFROM " + b.base + rest})
	b.fails(t, o, messages.FailureUser, "", old.String(), now.String())
	for text, bases := range map[string]int{
		"FROM " + b.base + "@" + now.String() + " AS a\nFROM " + b.base + rest:                  1,
		"FROM " + name + "@" + old.String() + " AS a\nFROM " + b.base + rest:                    2,
		"FROM " + name + "@" + old.String() + " AS a\nFROM " + name + "@" + now.String() + rest: 2,
	} {
		o := b.order(t, map[string]string{"Dockerfile": text})
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil || len(o.bases) != bases {
			t.Errorf("%s: bases %v, %v", text, o.bases, err)
		}
	}
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
		b.fails(t, built(t), messages.FailureInfrastructure, "", "pushing to "+b.registry.Host, "login")
	})
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
		b.fails(t, b.order(t, map[string]string{"Dockerfile": "FROM " + b.registry.Host + "/base:2\n"}), messages.FailureInfrastructure, "Dockerfile:1", "does not answer")
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

func TestRejectionPushesNothing(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN echo 1 > /x\n"})
	rejected := errors.New("rejected")
	o.Check = func(context.Context, fs.FS) error { return rejected }
	var written int
	b.registry.Refuse(func(r *http.Request) int {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			written++
		}
		return 0
	})
	if _, err := b.solver.Solve(t.Context(), o.Build); !errors.Is(err, rejected) {
		t.Errorf("error %v", err)
	}
	stopped := errors.New("stopped")
	o.Pinned = func(context.Context, []messages.PinnedBase) error { return stopped }
	if _, err := b.solver.Solve(t.Context(), o.Build); !errors.Is(err, stopped) {
		t.Errorf("error %v", err)
	}
	if written != 0 {
		t.Errorf("%d requests wrote to the registry", written)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	b := newBench(t)
	const value = "s3cret-value"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN --mount=type=secret,id=key cat /run/secrets/key && echo seen && false\n"})
	o.Secrets = map[string]messages.Secret{"key": messages.NewSecret(value + "\nsecond-line\n")}
	f := b.fails(t, o, messages.FailureUser, "Dockerfile:2", "seen", "(secret)")
	for _, text := range []string{o.text(), f.Reason + f.Detail} {
		if strings.Contains(text, value) || strings.Contains(text, "second-line") {
			t.Errorf("the secret shows:\n%s", text)
		}
	}
}

func TestALongCommandIsCutAfterItsSecretsAreOut(t *testing.T) {
	b := newBench(t)
	const value = "s3cret-value"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN : " + strings.Repeat("x", 200-len(": ")-6) + value + " && false\n"})
	o.Secrets = map[string]messages.Secret{"key": messages.NewSecret(value)}
	f := b.fails(t, o, messages.FailureUser, "Dockerfile:2")
	if strings.Contains(f.Reason, "s3cre") {
		t.Errorf("the secret's beginning shows: %s", f.Reason)
	}
}

// started waits until the build's step runs.
func (o *order) started(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(o.text(), text) {
		select {
		case <-deadline:
			t.Fatalf("%q never came:\n%s", text, o.text())
		case <-tick.C:
		}
	}
}

// solving starts a build whose step runs until it is stopped.
func (b *bench) solving(ctx context.Context, t *testing.T, s *buildkit.Solver) <-chan error {
	t.Helper()
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN echo running && sleep 600\n"})
	done := make(chan error, 1)
	go func() {
		_, err := s.Solve(ctx, o.Build)
		done <- err
	}()
	o.started(t, ": running")
	return done
}

func TestAHungBuildkitd(t *testing.T) {
	b := newBench(t)
	t.Run("does not outlast the context", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		done := b.solving(ctx, t, b.solver)
		b.daemon.Signal(t, syscall.SIGSTOP)
		defer b.daemon.Signal(t, syscall.SIGCONT)
		ended := errors.New("ended")
		begin := time.Now()
		cancel(ended)
		if err := <-done; !errors.Is(err, ended) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v to return", took)
		}
	})
	t.Run("is noticed", func(t *testing.T) {
		s := newSolver(t, buildkit.Config{Address: b.daemon.Address, Watch: 300 * time.Millisecond})
		done := b.solving(t.Context(), t, s)
		b.daemon.Signal(t, syscall.SIGSTOP)
		defer b.daemon.Signal(t, syscall.SIGCONT)
		var f *builder.FailedError
		if err := <-done; !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(f.Reason, "no sign of life") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAKilledBuildkitd(t *testing.T) {
	b := newBench(t)
	done := b.solving(t.Context(), t, b.solver)
	b.daemon.Kill(t)
	var f *builder.FailedError
	if err := <-done; !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(f.Reason, "went away") {
		t.Errorf("error %v", err)
	}
	if err := b.solver.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), b.daemon.Address) {
		t.Errorf("Ready: %v", err)
	}
	buildkittest.StartIn(t, filepath.Dir(strings.TrimPrefix(b.daemon.Address, "unix://")))
	if err := b.solver.Ready(t.Context()); err != nil {
		// gRPC waits a little before it tries again.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for err != nil && ctx.Err() == nil {
			err = b.solver.Ready(ctx)
		}
		if err != nil {
			t.Fatalf("not ready after a restart: %v", err)
		}
	}
	if _, err := b.solver.Solve(t.Context(), b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN true\n"}).Build); err != nil {
		t.Fatal(err)
	}
}
