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
	e, err := q.records.Get(ctx, build)
	if err != nil {
		return Accepted{}, fmt.Errorf("retrying build %s: %w", build, err)
	}
	if !e.Value.Ended() {
		return Accepted{}, fmt.Errorf("retrying build %s: it is still running: cancel it first", build)
	}
	asked, err := q.kept(ctx, &e.Value)
	if errors.Is(err, queue.ErrNotFound) {
		return Accepted{}, fmt.Errorf("retrying build %s: its request was not kept: submit the pipeline again", build)
	}
	if err != nil {
		return Accepted{}, fmt.Errorf("retrying build %s: reading its request: %w", build, err)
	}
	if _, r, err := messages.DecodeAs[*messages.BuildRequested](asked); err == nil && r.Context != "" && e.Value.Context == "" {
		return Accepted{}, fmt.Errorf("retrying build %s: its context is not kept any more: submit the folder again", build)
	}
	return q.retryRequest(ctx, asked, e.Value.Order, by)
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
	r.Reason = &messages.Reason{Kind: messages.ReasonRetry, Link: r.Build}
	r.Build = messages.NewBuildID(r.Pipeline.Name)
	r.Cause, r.RequestedBy, r.Matched, r.OnlyIf, r.Received = messages.CauseRetry, by, "", "", time.Now().UTC()
	return q.Request(ctx, r, e.Traceparent)
}
