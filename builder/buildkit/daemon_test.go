package buildkit_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/messages"
)

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
		if took := time.Since(begin); took > 4*time.Second { // the client by itself takes 5
			t.Errorf("took %v to return", took)
		}
	})
	t.Run("is noticed", func(t *testing.T) {
		s := newSolver(t, buildkit.Config{Address: b.daemon.Address, Watch: 3 * time.Second})
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
