package builds

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Queued is a request that was accepted and that no worker has claimed yet.
type Queued struct {
	messages.BuildRequested
	Newer messages.Type // where only a newer version of this program can build it, and little of it is known; or ""
}

// Queued lists the requests that were accepted and that no worker has claimed yet, oldest
// first.
func (q *Queue) Queued(ctx context.Context) ([]Queued, error) {
	claimed := map[string]bool{}
	records, err := q.records.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing queued builds: %w", err)
	}
	for _, e := range records {
		claimed[e.Key] = true
	}
	var out []Queued
	err = q.c.Read(ctx, q.c.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
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

// queuedBuild makes the record of a build that nobody has claimed. queue.ErrNotFound where there is
// no request for it.
func (q *Queue) queuedBuild(ctx context.Context, build string) (messages.BuildRecord, error) {
	var out messages.BuildRecord
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		m, ok := r.Payload.(*messages.BuildRequested)
		if !ok || m.Build != build {
			return nil
		}
		asked := r.Message
		out = messages.BuildRecord{
			BuildRef: m.BuildRef(), State: messages.BuildStateRunning, Request: r.Sequence,
			Commit: m.Commit, Ref: m.Ref, Context: m.Context, Cause: m.Cause, By: m.RequestedBy, Received: m.Received, Asked: &asked,
		}
		return nil
	})
	if err == nil && out.Build == "" {
		err = fmt.Errorf("build %s: %w", build, queue.ErrNotFound)
	}
	return out, err
}
