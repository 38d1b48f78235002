package builds

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Known tells whether a build of a pipeline was asked for, by its ID: a worker has claimed it, or its request is in its
// stream.
func (q *Queue) Known(ctx context.Context, pipeline, build string) (bool, error) {
	_, err := q.records.Current(ctx, build)
	if err == nil || errors.Is(err, messages.ErrMalformed) {
		return true, nil
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return false, fmt.Errorf("looking for build %s: %w", build, err)
	}
	known := false
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(pipeline)}}
	err = q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		r, ok := m.Payload.(*messages.BuildRequested)
		known = known || ok && r.Build == build
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("looking for build %s: %w", build, err)
	}
	return known, nil
}
