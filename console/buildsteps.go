package console

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
)

const (
	// stepsEvery is how often it is looked at which step builds are at.
	stepsEvery = 2 * time.Second
	// stepsMost is of how many builds that is known.
	stepsMost = 100
)

// buildSteps says which step the builds that run are at, by the last message of each one's log.
type buildSteps struct {
	queue *queue.Client

	mu sync.Mutex
	at map[string]string // by build
}

func (b *buildSteps) of(build string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at[build]
}

// look reads the last messages, and tells whether any build is at another step.
func (b *buildSteps) look(ctx context.Context, open []overview.Build) bool {
	ctx, cancel := context.WithTimeout(ctx, sideTime)
	defer cancel()
	now := map[string]string{}
	for i := range open {
		if o := &open[i]; o.State == string(messages.BuildStateRunning) && !o.Waiting && len(now) < stepsMost {
			now[o.Build] = b.read(ctx, o)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	moved := !maps.Equal(b.at, now)
	b.at = now
	return moved
}

// read is the step that a build is at, or was when it was known last.
func (b *buildSteps) read(ctx context.Context, of *overview.Build) string {
	was := b.of(of.Build)
	m, err := b.queue.Last(ctx, b.queue.Space().LogsStream(), b.queue.Space().AnyVersion(messages.TypeBuildLog, of.Pipeline, of.Build))
	if err != nil {
		return was
	}
	r, err := b.queue.Decode(m)
	if err != nil {
		return was
	}
	l, ok := r.Payload.(*messages.BuildLog)
	switch {
	case !ok:
		return was
	case l.Vertex != "":
		return messages.Shorten(strings.Join(strings.Fields(l.Vertex), " "), whyMost)
	case l.Step != "":
		return string(l.Step)
	}
	return was
}

// lookAtSteps looks again and again while any page is open.
func (s *seen) lookAtSteps(ctx context.Context) error {
	for queue.Pause(ctx, stepsEvery) {
		if s.open.any() && s.steps.look(ctx, s.side.is().open) {
			s.note()
		}
	}
	return nil
}
