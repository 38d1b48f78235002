package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// recorder keeps what `fenceline watch` shows.
type recorder struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	lines []site.Line
}

func newRecorder() *recorder { return &recorder{cancel: func() {}} }

func (r *recorder) start(f site.Fenceline) error {
	ctx, cancel := context.WithCancel(context.Background())
	lines, _, err := f.Watch(ctx)
	if err != nil {
		cancel()
		return err
	}
	r.cancel, r.done = cancel, make(chan struct{})
	go func() {
		defer close(r.done)
		for l := range lines {
			r.mu.Lock()
			r.lines = append(r.lines, l)
			r.mu.Unlock()
		}
	}()
	return nil
}

func (r *recorder) stop() {
	r.cancel()
	if r.done != nil {
		<-r.done
	}
}

// steps lists the steps shown of a build, by their times: lines of different sources can
// overtake each other by a moment.
func (r *recorder) steps(build string) []site.Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []site.Line
	for _, l := range r.lines {
		if l.Build == build && l.Step != "" {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b site.Line) int { return a.Time.Compare(b.Time) })
	return out
}

// count is how often a step was shown.
func (r *recorder) count(step string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, l := range r.lines {
		if l.Step == step {
			n++
		}
	}
	return n
}

// await waits for a step of a build and returns its line.
func (r *recorder) await(t *testing.T, build, step string) site.Line {
	t.Helper()
	var found site.Line
	await(t, build+" to be "+step, func(context.Context) error {
		steps := r.steps(build)
		i := slices.IndexFunc(steps, func(l site.Line) bool { return l.Step == step })
		if i < 0 {
			return fmt.Errorf("steps so far: %+v", steps)
		}
		found = steps[i]
		return nil
	})
	return found
}
