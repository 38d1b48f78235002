package buildkit_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
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
	b.solver = newSolver(t, buildkit.Config{Address: b.daemon.Address, Rules: onLoopback})
	return b
}

// onLoopback lets submodules and Dockerfiles lead to what tests serve.
var onLoopback = &reach.Rules{Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

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
	bases, unfetched []messages.PinnedBase

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
		Pinned: func(_ context.Context, bases, unfetched []messages.PinnedBase) error {
			o.bases, o.unfetched = bases, unfetched
			return nil
		},
		Check: func(context.Context, fs.FS) error { return nil },
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
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

// started waits until the build's step runs.
func (o *order) started(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
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
