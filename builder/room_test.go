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
