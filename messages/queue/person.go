package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// CancelBuild ends a build that is queued or runs, and announces that. The worker that has
// it stops. A build that is over already is an error that says how it ended.
func (c *Client) CancelBuild(ctx context.Context, build, by string) error {
	if err := messages.CheckID("build", build); err != nil {
		return err
	}
	e, err := Builds(c).Modify(ctx, build, func(r *messages.BuildRecord) error {
		if r.Ended() {
			return fmt.Errorf("build %s is over already: %s", build, r.State)
		}
		if r.Build == "" {
			queued, err := c.queuedBuild(ctx, build)
			if err != nil {
				return err
			}
			*r = queued
		}
		p := &messages.BuildCancelled{By: by}
		if err := decide(r, r.BuildRef, p); err != nil {
			return err
		}
		m, err := messages.Encode(c.Envelope(build, ""), p)
		r.Outcome, r.Updated = &m, time.Now().UTC()
		return err
	})
	if err != nil {
		return fmt.Errorf("cancelling build %s: %w", build, err)
	}
	if err := c.finish(ctx, e); err != nil {
		return fmt.Errorf("build %s is cancelled, but not announced yet: %w", build, err)
	}
	return nil
}

// queuedBuild makes the record of a build that nobody has claimed. ErrNotFound where there is
// no request for it.
func (c *Client) queuedBuild(ctx context.Context, build string) (messages.BuildRecord, error) {
	var out messages.BuildRecord
	err := c.ReadRequests(ctx, ReadOptions{}, func(r Received) error {
		m, ok := r.Payload.(*messages.BuildRequested)
		if !ok || m.Build != build {
			return nil
		}
		asked := r.message
		out = messages.BuildRecord{
			BuildRef: m.BuildRef(), State: messages.BuildStateRunning, Request: r.Sequence,
			Commit: m.Commit, Ref: m.Ref, Received: m.Received, Asked: &asked,
		}
		return nil
	})
	if err == nil && out.Build == "" {
		err = fmt.Errorf("build %s: %w", build, ErrNotFound)
	}
	return out, err
}

// RetryBuild asks for an ended build again, under a new ID and with the order of the first,
// so that it does not overtake what came later. Asked twice while the retry runs it is one.
func (c *Client) RetryBuild(ctx context.Context, build, by string) (Accepted, error) {
	e, err := Builds(c).Get(ctx, build)
	if err != nil {
		return Accepted{}, fmt.Errorf("retrying build %s: %w", build, err)
	}
	if !e.Value.Ended() {
		return Accepted{}, fmt.Errorf("retrying build %s: it is still running: cancel it first", build)
	}
	if e.Value.Asked == nil {
		return Accepted{}, fmt.Errorf("retrying build %s: its request was not kept: submit the pipeline again", build)
	}
	return c.retryRequest(ctx, *e.Value.Asked, e.Value.Order, by)
}

// retryRequest asks again for what m asked for.
func (c *Client) retryRequest(ctx context.Context, m messages.Message, order uint64, by string) (Accepted, error) {
	e, r, err := messages.DecodeAs[*messages.BuildRequested](m)
	if errors.Is(err, messages.ErrNewer) {
		err = fmt.Errorf("%w: retry it with a fenceline of that version", err)
	}
	if err != nil {
		return Accepted{}, fmt.Errorf("reading the request to retry: %w", err)
	}
	r.Accepted(order)
	r.Build = messages.NewBuildID(r.Pipeline.Name)
	r.Cause, r.RequestedBy, r.Received = messages.CauseRetry, by, time.Now().UTC()
	return c.Request(ctx, r, e.Traceparent)
}

// Queued is a request that was accepted and that no worker has claimed yet.
type Queued struct {
	messages.BuildRequested
	Newer messages.Type // where only a newer version of this program can build it, and little of it is known; or ""
}

// Queued lists the requests that were accepted and that no worker has claimed yet, oldest
// first.
func (c *Client) Queued(ctx context.Context) ([]Queued, error) {
	claimed := map[string]bool{}
	records, err := Builds(c).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing queued builds: %w", err)
	}
	for _, e := range records {
		claimed[e.Key] = true
	}
	var out []Queued
	err = c.ReadRequests(ctx, ReadOptions{}, func(r Received) error {
		if m, ok := r.Payload.(*messages.BuildRequested); ok && !claimed[m.Build] {
			out = append(out, Queued{*m, r.Newer})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing queued builds: %w", err)
	}
	return out, nil
}
