package builder

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestABuildThatFillsTheDiskIsStopped has the disk fill up under a build: once, as somebody else may have
// filled it, and then again.
func TestABuildThatFillsTheDiskIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		s := &solver{solve: func(ctx context.Context, _ Build) (Solved, error) {
			full.Store(true)
			<-ctx.Done()
			return Solved{}, errors.New("something else, as it was cancelled")
		}}
		b := newBuilder(t, s)
		b.room.short = func() error {
			if full.Load() {
				return errors.New("5 MiB are free")
			}
			return nil
		}
		r := request()
		attempt := func(n int) (messages.Payload, error) {
			full.Store(false)
			began := time.Now()
			p, err := b.build(t.Context(), task{request: r, attempt: n, out: new(record)})
			if took := time.Since(began); took > 2*roomInterval {
				t.Errorf("it went on for %s", took)
			}
			return p, err
		}
		p, err := attempt(1)
		var f *FailedError
		if p != nil || !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(f.Reason, "filled up while the build ran") || !strings.Contains(f.Reason, "5 MiB are free") {
			t.Errorf("the first time: %+v, %v", p, err)
		}
		p, err = attempt(2)
		failed, ok := p.(*messages.BuildFailed)
		if err != nil || !ok || failed.Failure.Class != messages.FailureUser || !strings.Contains(failed.Failure.Reason, "the build filled the builder's disk") {
			t.Errorf("the second time: %+v, %v", p, err)
		}
		if len(b.room.stopped) > 0 {
			t.Errorf("it remembers %v", b.room.stopped)
		}
	})
}

// filling is a builder, whether its disk is full, and what a build of it ends with that is not stopped before.
func filling(t *testing.T) (b *Builder, full *atomic.Bool, ends chan error) {
	t.Helper()
	full, ends = new(atomic.Bool), make(chan error)
	b = newBuilder(t, &solver{solve: func(ctx context.Context, _ Build) (Solved, error) {
		select {
		case <-ctx.Done():
			return Solved{}, ctx.Err()
		case err := <-ends:
			return Solved{}, err
		}
	}})
	b.room.short = func() error {
		if full.Load() {
			return errors.New("5 MiB are free")
		}
		return nil
	}
	return b, full, ends
}

// class runs a build, and sends the class of its failure.
func class(t *testing.T, b *Builder, build string) <-chan messages.FailureClass {
	t.Helper()
	r := request()
	r.Build = build
	end := make(chan messages.FailureClass, 1)
	go func() {
		p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)})
		var infrastructure *FailedError
		switch failed, ok := p.(*messages.BuildFailed); {
		case ok:
			end <- failed.Failure.Class
		case errors.As(err, &infrastructure):
			end <- infrastructure.Class
		default:
			t.Errorf("%s: %+v, %v", build, p, err)
			end <- ""
		}
	}()
	return end
}

// TestBuildsThatRunTogetherAreNotBlamed: of builds that are stopped together none is known to have filled the disk.
func TestBuildsThatRunTogetherAreNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, full, _ := filling(t)
		run := func(want messages.FailureClass, builds ...string) {
			t.Helper()
			full.Store(false)
			var ends []<-chan messages.FailureClass
			for _, build := range builds {
				ends = append(ends, class(t, b, build))
			}
			synctest.Wait()
			full.Store(true)
			for i, end := range ends {
				if got := <-end; got != want {
					t.Errorf("%s of %v ends as %s, want %s", builds[i], builds, got, want)
				}
			}
		}
		for range 3 {
			run(messages.FailureInfrastructure, "p-one", "p-two")
		}
		run(messages.FailureInfrastructure, "p-one")
		run(messages.FailureInfrastructure, "p-one", "p-two") // which doesn't clear it
		run(messages.FailureInfrastructure, "p-two")
		run(messages.FailureUser, "p-one")
		run(messages.FailureUser, "p-two")
		synctest.Wait()
		b.room.mu.Lock()
		defer b.room.mu.Unlock()
		if len(b.room.stopped)+len(b.room.running) > 0 {
			t.Errorf("it remembers %v, %v", b.room.stopped, b.room.running)
		}
	})
}

// TestAStoppedBuildThatEndsOtherwiseIsForgotten has a build be stopped once, and then fail for something else.
func TestAStoppedBuildThatEndsOtherwiseIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, full, ends := filling(t)
		remembers := func(want int) {
			t.Helper()
			synctest.Wait()
			b.room.mu.Lock()
			defer b.room.mu.Unlock()
			if len(b.room.stopped) != want || len(b.room.running) > 0 {
				t.Errorf("it remembers %v, and runs %v", b.room.stopped, b.room.running)
			}
		}
		end := class(t, b, "p-one")
		synctest.Wait()
		full.Store(true)
		if got := <-end; got != messages.FailureInfrastructure {
			t.Errorf("it ends as %s", got)
		}
		remembers(1)
		full.Store(false)
		end = class(t, b, "p-one")
		ends <- &FailedError{messages.Failure{Class: messages.FailureUser, Reason: "RUN false: exit status 1", Fix: "correct it"}}
		if got := <-end; got != messages.FailureUser {
			t.Errorf("it ends as %s", got)
		}
		remembers(0)
	})
}

// TestNoBuildBeginsOnAFullDisk: requests are left where they are, and a build that was taken is handed back
// without blame.
func TestNoBuildBeginsOnAFullDisk(t *testing.T) {
	s := &solver{solve: func(context.Context, Build) (Solved, error) {
		t.Error("it is built")
		return Solved{}, nil
	}}
	b := newBuilder(t, s)
	b.room.short = func() error { return errors.New("5 MiB are free") }
	if err := b.able(t.Context()); err == nil || !strings.Contains(err.Error(), "5 MiB are free") {
		t.Errorf("builds are taken: %v", err)
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("it says that it is ready")
	}
	for range 3 {
		p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
		var f *FailedError
		if p != nil || !errors.As(err, &f) || f.Class != messages.FailureInfrastructure {
			t.Errorf("outcome %+v, %v", p, err)
		}
	}
}

// TestRoomIsMadeWhereTheDiskIsFull: nobody else does while no build runs.
func TestRoomIsMadeWhereTheDiskIsFull(t *testing.T) {
	full := true
	s := &solver{room: func() { full = false }}
	b := newBuilder(t, s)
	b.room.short = func() error {
		if full {
			return errors.New("5 MiB are free")
		}
		return nil
	}
	if err := b.takes(t.Context()); err != nil || full {
		t.Errorf("no build is taken: %v", err)
	}
	s.room = func() { t.Error("room is made where there is some") }
	if err := b.takes(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestASolverThatHoldsTheDiskIsStartedAgain, once, and only while no build runs.
func TestASolverThatHoldsTheDiskIsStartedAgain(t *testing.T) {
	again := 0
	b := newBuilder(t, new(solver))
	b.config.Afresh = func() { again++ }
	b.room.short = func() error { return errors.New("5 MiB are free") }
	w := b.room.enter("build", func(error) {})
	for _, want := range []int{0, 1, 1} {
		if err := b.takes(t.Context()); err == nil || again != want {
			t.Errorf("it was started again %d times, not %d: %v", again, want, err)
		}
		b.room.leave(w)
	}
	b.room.leave(b.room.enter("build", func(error) {}))
	if err := b.takes(t.Context()); err == nil || again != 2 {
		t.Errorf("after another build it was started again %d times, not 2: %v", again, err)
	}
}
