package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// What cancelling a build comes to beside its end.
var (
	// ErrOver tells that a build has ended, and can't be cancelled.
	ErrOver = errors.New("over already")
	// ErrUnannounced tells that a build is cancelled, though that could not be announced yet: a sweep does it.
	ErrUnannounced = errors.New("it is cancelled, but not announced yet")
)

// whoSaid is who cancelled a build, and why, for people.
func whoSaid(p *messages.BuildCancelled) string {
	if p.Why == "" {
		return p.By
	}
	return p.By + ": " + p.Why
}

// Cancel ends a build that is queued or runs, and announces that. The worker that has
// it stops. The reason of messages.Saying stands in the record. A build that is over already is ErrOver, which says how it ended.
func (q *Queue) Cancel(ctx context.Context, build, by string) error {
	if err := messages.CheckID("build", build); err != nil {
		return err
	}
	e, err := q.records.Modify(ctx, build, func(r *messages.BuildRecord) error {
		if r.Ended() {
			return fmt.Errorf("build %s is %w: %s", build, ErrOver, r.State)
		}
		if r.Build == "" {
			queued, err := q.queuedBuild(ctx, build)
			if err != nil {
				return err
			}
			*r = queued
		}
		p := &messages.BuildCancelled{By: by, Why: brief(messages.Said(ctx))}
		if err := settle(r, r.BuildRef, p); err != nil {
			return err
		}
		m, err := messages.Encode(q.c.Envelope(build, ""), p)
		if err != nil {
			return err
		}
		r.Outcome, r.Updated = &m, time.Now().UTC()
		return q.fit(r)
	})
	if err != nil {
		return fmt.Errorf("cancelling build %s: %w", build, err)
	}
	if err := q.finish(ctx, e); err != nil {
		return fmt.Errorf("build %s: %w: %w", build, ErrUnannounced, err)
	}
	return nil
}
