package builds

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Stored finds the request of a build by its ID: whether it was stored where the answer to Request is not known, however long
// ago that was. queue.ErrNotFound where it was not, or the build is forgotten.
func (q *Queue) Stored(ctx context.Context, build string) (Accepted, error) {
	e, err := q.records.Current(ctx, build)
	if err == nil {
		return Accepted{Build: build, Order: e.Value.Order}, nil
	}
	if errors.Is(err, messages.ErrMalformed) {
		return Accepted{Build: build}, nil
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return Accepted{}, fmt.Errorf("looking for build %s: %w", build, err)
	}
	r, err := q.queuedBuild(ctx, build)
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{Build: build, Order: r.Order}, nil
}

// RequestOf is the request of a build, as its record keeps it, or its stream. queue.ErrNotFound where neither does.
func (q *Queue) RequestOf(ctx context.Context, build string) (*messages.BuildRequested, error) {
	e, err := q.records.Get(ctx, build)
	record := e.Value
	if errors.Is(err, queue.ErrNotFound) {
		record, err = q.queuedBuild(ctx, build)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for build %s: %w", build, err)
	}
	m, err := q.kept(ctx, &record)
	if err != nil {
		return nil, fmt.Errorf("looking for the request of build %s: %w", build, err)
	}
	_, r, err := messages.DecodeAs[*messages.BuildRequested](m)
	return r, err
}
