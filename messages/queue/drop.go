package queue

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/messages"
)

// dropMost bounds how many records one sweep drops, so that it ends soon.
const dropMost = 1000

// drop removes the records of builds that ended longer ago than events are kept: who still
// has the record of a build can read what happened to it, and the other way round. It keeps
// what anything may still ask for: each pipeline's last build and last image, what a fleet
// has or waits for, and whatever has a request that could come again. A stream that keeps
// events for ever keeps all.
func (c *Client) drop(ctx context.Context, records []Entry[messages.BuildRecord], f floors) (dropped int, err error) {
	info, err := c.about(ctx, c.space.EventsStream())
	if err != nil {
		return 0, err
	}
	if info.Config.MaxAge == 0 {
		return 0, nil
	}
	lasts := lastOf(records)
	var old []Entry[messages.BuildRecord]
	for _, e := range records {
		r := e.Value
		if r.Ended() && r.Announced && f.settled(&r) && info.Now.Sub(e.Created) > info.Config.MaxAge && !lasts[e.Key] {
			old = append(old, e)
		}
	}
	if old, err = c.unused(ctx, old); err != nil {
		return 0, err
	}
	for _, e := range old[:min(len(old), dropMost)] {
		if err := Builds(c).forget(ctx, e.Key, e.Revision); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, nil
}

// lastOf names the last build of each pipeline, and the last that made an image.
func lastOf(records []Entry[messages.BuildRecord]) map[string]bool {
	type of struct {
		pipeline string
		image    bool
	}
	last := map[of]Entry[messages.BuildRecord]{}
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
func (c *Client) unused(ctx context.Context, old []Entry[messages.BuildRecord]) ([]Entry[messages.BuildRecord], error) {
	used := map[string]bool{}
	stored := map[string]uint64{}
	var out []Entry[messages.BuildRecord]
	for _, e := range old {
		pipeline := e.Value.Pipeline
		if _, known := stored[pipeline]; !known {
			m, err := c.last(ctx, c.space.RequestsStream(), c.space.AnyRequest(pipeline))
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			stored[pipeline] = m.sequence // 0 for none
		}
		if e.Value.Request != stored[pipeline] {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	if err := c.use(ctx, used); err != nil {
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
func (c *Client) use(ctx context.Context, used map[string]bool) error {
	fleets, err := Fleets(c).List(ctx)
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
	rollouts, err := Rollouts(c).List(ctx)
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

// forget removes a record that is still at the given revision, and leaves no trace of it.
// One that was changed since stays.
func (r *Records[T]) forget(ctx context.Context, key string, revision uint64) error {
	if _, err := r.c.purge(ctx, r.stream(), r.subject(key), revision+1); err != nil {
		return r.failed("dropping", key, err)
	}
	return nil
}
