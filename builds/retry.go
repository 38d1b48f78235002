package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Retry asks for an ended build again, under a new ID and with the order of the first,
// so that it does not overtake what came later. Asked twice while the retry runs it is one.
func (q *Queue) Retry(ctx context.Context, build, by string) (Accepted, error) {
	asked, order, err := q.retryable(ctx, build)
	if err != nil {
		return Accepted{}, fmt.Errorf("retrying build %s: %w", build, err)
	}
	return q.retryRequest(ctx, asked, order, by)
}

// Retryable tells why a build can't be asked for again, or nil.
func (q *Queue) Retryable(ctx context.Context, build string) error {
	_, _, err := q.retryable(ctx, build)
	return err
}

// retryable is what asked for an ended build, and the order that it has.
func (q *Queue) retryable(ctx context.Context, build string) (asked messages.Message, order uint64, err error) {
	e, err := q.records.Get(ctx, build)
	if err != nil {
		return asked, 0, err
	}
	if !e.Value.Ended() {
		return asked, 0, errors.New("it is still running: cancel it first")
	}
	asked, err = q.kept(ctx, &e.Value)
	if errors.Is(err, queue.ErrNotFound) {
		return asked, 0, errors.New("its request was not kept: submit the pipeline again")
	}
	if err != nil {
		return asked, 0, fmt.Errorf("reading its request: %w", err)
	}
	if _, r, err := messages.DecodeAs[*messages.BuildRequested](asked); err == nil && r.Context != "" && e.Value.Context == "" {
		return asked, 0, errors.New("its context is not kept any more: submit the folder again")
	}
	return asked, e.Value.Order, nil
}

// retryRequest asks again for what m asked for.
func (q *Queue) retryRequest(ctx context.Context, m messages.Message, order uint64, by string) (Accepted, error) {
	e, r, err := messages.DecodeAs[*messages.BuildRequested](m)
	if errors.Is(err, messages.ErrNewer) {
		err = fmt.Errorf("%w: retry it with a fenceline of that version", err)
	}
	if err != nil {
		return Accepted{}, fmt.Errorf("reading the request to retry: %w", err)
	}
	r.Accepted(order)
	r.Reason = &messages.Reason{Kind: messages.ReasonRetry, Link: r.Build, Detail: brief(messages.Said(ctx))}
	r.Build = messages.NewBuildID(r.Pipeline.Name)
	r.Cause, r.RequestedBy, r.Matched, r.OnlyIf, r.Received = messages.CauseRetry, by, "", "", time.Now().UTC()
	return q.Request(ctx, r, e.Traceparent)
}
