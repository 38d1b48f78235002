package builds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Backlog is what waits for builders.
type Backlog struct {
	Taken     uint64 // requests that a builder has, or that wait for another try
	Pipelines []PipelineBacklog
}

// PipelineBacklog is what waits of one pipeline that has requests on record.
type PipelineBacklog struct {
	Pipeline string
	Waiting  uint64        // requests that no builder was given yet
	Oldest   time.Duration // for how long one of them waits, by NATS's clock
}

// Backlog tells what waits for builders. It costs the number of pipelines, not of requests.
func (q *Queue) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	pipelines := map[string]queue.Waiting{}
	for _, t := range messages.TypeBuildRequested.Versions() {
		all, taken, err := q.c.Waiting(ctx, requests(q.c, t, 0))
		if err != nil {
			return b, fmt.Errorf("counting build requests: %w", err)
		}
		b.Taken += taken
		for subject, w := range all {
			name := subject[strings.LastIndexByte(subject, '.')+1:]
			p := pipelines[name]
			pipelines[name] = queue.Waiting{Messages: p.Messages + w.Messages, Oldest: max(p.Oldest, w.Oldest)}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pipelines)) {
		b.Pipelines = append(b.Pipelines, PipelineBacklog{name, pipelines[name].Messages, pipelines[name].Oldest})
	}
	return b, nil
}

// Letters counts the dead letters that are kept.
func (q *Queue) Letters(ctx context.Context) (uint64, error) {
	stream, err := q.lettersStream(ctx)
	if err != nil {
		return 0, err
	}
	if stream == q.c.Space().LettersStream() {
		info, err := q.c.Info(ctx, stream)
		return info.Messages, err
	}
	subjects, err := q.c.Subjects(ctx, stream, q.c.Space().AnyVersion(messages.TypeDeadLetter))
	return uint64(len(subjects)), err // each has a subject of its own
}
