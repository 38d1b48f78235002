package statuses

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Hints that come again and again, as their forge is away, would keep those of other forges waiting: a consumer has so many out
// at one time. So what a forge that is behind is to be told of is written down, and the hint is done with.

// owe writes down that a forge is to be told of a commit, and returns the revision of that.
func (w *Worker) owe(ctx context.Context, v *view, a about) (uint64, error) {
	e, err := store.ForgeOwed(w.Queue).Modify(ctx, messages.ForgeOwedKey(v.route.Pipeline, v.commit), func(o *messages.ForgeOwed) error {
		if o.Request > v.request {
			return nil // written again all the same: whoever forgets an earlier revision must not forget this one
		}
		*o = messages.ForgeOwed{
			Pipeline: v.route.Pipeline, Commit: v.commit, Ref: v.ref, Build: v.build, Request: v.request, Queued: a.request != nil, At: a.at.UTC(),
		}
		if a.request != nil {
			why := a.request.Why()
			o.Reason = &why
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("writing down that the forge is to be told of %s: %w", v.build, err)
	}
	return e.Revision, nil
}

// settled forgets what was written down of a commit that the forge knows of, at its revision. What stays is looked at again by
// the next worker.
func (w *Worker) settled(ctx context.Context, key string, owed uint64) {
	if owed == 0 {
		return
	}
	err := store.ForgeOwed(w.Queue).Delete(ctx, messages.ForgeOwedOf(key), owed)
	if err != nil && !errors.Is(err, queue.ErrMoved) && !errors.Is(err, queue.ErrNotFound) && ctx.Err() == nil {
		w.Logger.Warn().Err(err).Str("status", key).Msg("what the forge knows is still written down as owed")
	}
}

// recall has the forges told of what is written down.
func (w *Worker) recall(ctx context.Context) error {
	owed, err := store.ForgeOwed(w.Queue).List(ctx)
	if err != nil {
		return fmt.Errorf("reading what forges are to be told of: %w", err)
	}
	for _, e := range owed {
		o := &e.Value
		r := w.routes[o.Pipeline]
		if r == nil {
			continue // it expires
		}
		a := about{pipeline: o.Pipeline, build: o.Build, sequence: o.Request, at: o.At}
		if o.Queued {
			a.request = &messages.BuildRequested{Build: o.Build, Commit: o.Commit, Reason: o.Reason}
			a.request.Pipeline.Name = o.Pipeline
			a.request.SetRef(o.Ref)
		}
		r.forge.add(messages.ForgeStatusKey(o.Pipeline, o.Commit), a, 0, o.Request, e.Revision)
	}
	return nil
}
