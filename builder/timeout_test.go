package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

func TestTimeout(t *testing.T) {
	hangs := func(ctx context.Context, _ Build) (Solved, error) {
		<-ctx.Done()
		return Solved{}, context.Cause(ctx)
	}
	t.Run("of a slow build", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := newBuilder(t, &solver{solve: hangs}).build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
			f, ok := p.(*messages.BuildFailed)
			if err != nil || !ok || f.Failure.Class != messages.FailureTimeout {
				t.Errorf("outcome %+v, %v", p, err)
			}
		})
	})
	t.Run("of a hung solver", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			defer close(stuck)
			s := &solver{solve: hangs, ready: func(context.Context) error { <-stuck; return nil }}
			p, err := newBuilder(t, s).build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
			var f *FailedError
			if p != nil || !errors.As(err, &f) || f.Class != messages.FailureInfrastructure {
				t.Errorf("outcome %+v, %v", p, err)
			}
		})
	})
	t.Run("of a hung push", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := building(nil)
			built := s.solve
			s.solve = func(ctx context.Context, b Build) (Solved, error) {
				if _, err := built(ctx, b); err != nil {
					t.Error(err)
				}
				return hangs(ctx, b)
			}
			p, err := newBuilder(t, s).build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
			var f *FailedError
			if p != nil || !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(f.Reason, "pushing to "+image.Name()) {
				t.Errorf("outcome %+v, %v", p, err)
			}
		})
	})
	t.Run("of a silent repository", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBuilder(t, &solver{solve: hangs})
			b.head = func(ctx context.Context, _ git.Remote) (string, string, error) {
				<-ctx.Done()
				return "", "", git.ErrUnreachable
			}
			p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
			var f *FailedError
			if p != nil || !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(f.Reason, "repository") {
				t.Errorf("outcome %+v, %v", p, err)
			}
		})
	})
	t.Run("not when the build is taken away", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(queue.ErrLeaseLost)
		p, err := newBuilder(t, &solver{solve: hangs}).build(ctx, task{request: request(), attempt: 1, out: new(record)})
		if p != nil || !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("outcome %+v, %v", p, err)
		}
	})
}

func TestASourceThatIsNotWantedEndsTheBuildAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		head string
		err  error
		says string
	}{
		"a silent repository":  {err: git.ErrUnreachable, says: "*builder.FailedError"},
		"a denied credential":  {err: git.ErrDenied, says: "*messages.BuildFailed"},
		"no longer the head":   {head: other, says: "*messages.BuildSuperseded"},
		"a repository missing": {err: git.ErrNoRepository, says: "*messages.BuildFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBuilder(t, &solver{solve: func(ctx context.Context, _ Build) (Solved, error) {
					<-ctx.Done() // as a fetch from a silent host
					return Solved{}, context.Cause(ctx)
				}})
				b.head = func(context.Context, git.Remote) (string, string, error) {
					<-time.After(git.Timeout)
					return c.head, c.head, c.err
				}
				begin := time.Now()
				p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
				if got := fmt.Sprintf("%T%T", p, err); !strings.Contains(got, c.says) {
					t.Errorf("outcome %+v, %v", p, err)
				}
				if took := time.Since(begin); took != git.Timeout {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
