package builds

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// dropMost bounds how many records one sweep drops, so that it ends soon.
const dropMost = 1000

// drop removes the records of builds that ended longer ago than events are kept: who still
// has the record of a build can read what happened to it, and the other way round. It keeps
// what anything may still ask for: each pipeline's last build and last image, what a fleet
// has or waits for, and whatever has a request that could come again. A stream that keeps
// events for ever keeps all.
func (q *Queue) drop(ctx context.Context, records []queue.Entry[messages.BuildRecord], f floors) (dropped int, err error) {
	info, err := q.c.Info(ctx, q.c.Space().EventsStream())
	if err != nil {
		return 0, err
	}
	if info.MaxAge == 0 {
		return 0, nil
	}
	lasts := lastOf(records)
	var old []queue.Entry[messages.BuildRecord]
	for _, e := range records {
		r := e.Value
		if r.Ended() && r.Announced && f.settled(&r) && info.Now.Sub(e.Created) > info.MaxAge && !lasts[e.Key] {
			old = append(old, e)
		}
	}
	if old, err = q.unused(ctx, old); err != nil {
		return 0, err
	}
	for _, e := range old[:min(len(old), dropMost)] {
		if err := q.records.Forget(ctx, e.Key, e.Revision); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, nil
}

// lastOf names the last build of each pipeline, and the last that made an image.
func lastOf(records []queue.Entry[messages.BuildRecord]) map[string]bool {
	type of struct {
		pipeline string
		image    bool
	}
	last := map[of]queue.Entry[messages.BuildRecord]{}
	for _, e := range records {
		for _, o := range []of{{e.Value.Pipeline, false}, {e.Value.Pipeline, true}} {
			if o.image && e.Value.State != messages.BuildStateSucceeded {
				continue
			}
			was, known := last[o]
			if !known || e.Value.Order > was.Value.Order || e.Value.Order == was.Value.Order && e.Revision > was.Revision {
				last[o] = e
			}
		}
	}
	out := map[string]bool{}
	for _, e := range last {
		out[e.Key] = true
	}
	return out
}

// unused leaves out the builds whose request is still stored, as their pipeline's last, and
// those that a fleet has or waits for.
func (q *Queue) unused(ctx context.Context, old []queue.Entry[messages.BuildRecord]) ([]queue.Entry[messages.BuildRecord], error) {
	used := map[string]bool{}
	stored := map[string]uint64{}
	var out []queue.Entry[messages.BuildRecord]
	for _, e := range old {
		pipeline := e.Value.Pipeline
		if _, known := stored[pipeline]; !known {
			m, err := q.c.Last(ctx, q.c.Space().RequestsStream(), q.c.Space().AnyRequest(pipeline))
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				return nil, err
			}
			stored[pipeline] = m.Sequence // 0 for none
		}
		if e.Value.Request != stored[pipeline] {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	if err := q.use(ctx, used); err != nil {
		return nil, err
	}
	rest := out[:0]
	for _, e := range out {
		if !used[e.Key] {
			rest = append(rest, e)
		}
	}
	return rest, nil
}

// use marks the builds whose images are in a fleet's record, and those of rollouts that move.
func (q *Queue) use(ctx context.Context, used map[string]bool) error {
	fleets, err := store.Fleets(q.c).List(ctx)
	if err != nil {
		return err
	}
	for _, e := range fleets {
		r := e.Value
		used[r.Current.Build], used[r.Previous.Build] = true, true
		for _, k := range r.Keep {
			used[k.Build] = true
		}
		if r.Preload != nil {
			used[r.Preload.Build] = true
		}
		if r.Bases != nil {
			used[r.Bases.Build] = true
		}
	}
	rollouts, err := store.Rollouts(q.c).List(ctx)
	if err != nil {
		return err
	}
	for _, e := range rollouts {
		if !e.Value.State.Final() {
			used[e.Value.Ready.Build] = true
		}
	}
	return nil
}
