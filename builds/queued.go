package builds

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
)

// Queued is a request that was accepted and that no worker has claimed yet.
type Queued struct {
	messages.BuildRequested
	Newer    messages.Type // where only a newer version of this program can build it, and little of it is known; or ""
	Sequence uint64        // of the request in its stream, by which builders take them
}

// Asked is a request that is still in its stream, with what became of it: every build that has not ended has one,
// and each pipeline's last.
type Asked struct {
	Queued
	Record *queue.Entry[messages.BuildRecord] // nil where no worker has claimed it yet
	Broken error                              // why the request, or its build's record, can't be read
}

// looksMost is how many records are read at one time.
const looksMost = 32

// Asked lists the requests that are still in their stream, oldest first. It costs what is open, not what
// ever was.
func (q *Queue) Asked(ctx context.Context) ([]Asked, error) {
	var out []Asked
	o := queue.ReadOptions{Broken: func(m queue.Stored, err error) {
		unread := messages.BuildRequested{Order: m.Sequence}
		unread.Pipeline.Name = m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		out = append(out, Asked{Queued: Queued{BuildRequested: unread}, Broken: err})
	}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(r queue.Received) error {
		if m, ok := r.Payload.(*messages.BuildRequested); ok {
			out = append(out, Asked{Queued: Queued{*m, r.Newer, r.Sequence}})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing build requests: %w", err)
	}
	looks, ctx := errgroup.WithContext(ctx)
	looks.SetLimit(looksMost)
	for i := range out {
		if a := &out[i]; a.Broken == nil {
			looks.Go(func() error { return q.claimOf(ctx, a) })
		}
	}
	if err := looks.Wait(); err != nil {
		return nil, fmt.Errorf("listing build requests: %w", err)
	}
	return out, nil
}

// claimOf finds the record of a request's build, if it has one.
func (q *Queue) claimOf(ctx context.Context, a *Asked) error {
	e, err := q.records.Get(ctx, a.Build)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case errors.Is(err, messages.ErrMalformed):
		a.Broken = err
		return nil
	case err == nil && !e.Value.Queued():
		a.Record = &e
	}
	return err
}

// Queued lists the requests that were accepted and that no worker has claimed yet, oldest
// first.
func (q *Queue) Queued(ctx context.Context) ([]Queued, error) {
	all, err := q.Asked(ctx)
	var out []Queued
	for _, a := range all {
		if a.Record == nil && a.Broken == nil {
			out = append(out, a.Queued)
		}
	}
	return out, err
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
			Commit: m.Commit, Ref: m.FullRef(), Context: m.Context, Cause: m.Cause, Reason: m.Reason, By: m.RequestedBy, Matched: m.Matched, OnlyIf: m.OnlyIf, Received: m.Received, Asked: &asked,
		}
		return nil
	})
	if err == nil && out.Build == "" {
		err = fmt.Errorf("build %s: %w", build, queue.ErrNotFound)
	}
	return out, err
}
