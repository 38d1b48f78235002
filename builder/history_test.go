package builder

import (
	"context"

	"github.com/fenceline/fenceline/builds"
)

// history is what a queue knows of a branch.
type history struct {
	later     string
	pushes    chan string
	before    string
	overtaken int
	saw       string

	last    *builds.LastImage
	lastErr error
	changed string
	updates string
}

func (h *history) Later(context.Context) (string, error) { return h.later, nil }
func (h *history) Pushes(ctx context.Context, each func(string)) error {
	for {
		select {
		case commit := <-h.pushes:
			each(commit)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
func (h *history) Before(_ context.Context, commit string) (bool, error) {
	return commit == h.before, nil
}
func (h *history) Overtaken(context.Context) (int, error) { return h.overtaken, nil }
func (h *history) Saw(head string)                        { h.saw = head }
func (h *history) LastImage(context.Context) (*builds.LastImage, error) {
	return h.last, h.lastErr
}
func (h *history) Changed(text, updates string) { h.changed, h.updates = text, updates }
