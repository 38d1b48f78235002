package builds

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

const (
	// dropMost bounds how many records one sweep drops, so that it ends soon.
	dropMost = 1000
	// dropEvery is the time between looks for records that are old, and dropShare bounds it as a share of the
	// time that they are kept.
	dropEvery = time.Hour
	dropShare = 100
)

// dropping is when a sweep last looked for old records.
type dropping struct {
	at   time.Time // by the server's clock
	more bool      // it left some
}

// drop removes the records of builds that ended longer ago than events are kept: who still
// has the record of a build can read what happened to it, and the other way round. It keeps
// what anything may still ask for: each pipeline's last request and last image, what a fleet
// has or waits for, and whatever is not finished. A stream that keeps events for ever keeps all. Records lie in the
// order of their last write, so that it reads the old ones alone.
func (q *Queue) drop(ctx context.Context, f floors) (dropped int, err error) {
	info, err := q.c.Info(ctx, q.c.Space().EventsStream())
	last := &q.sweeps.dropped
	if err != nil || info.MaxAge == 0 || !last.more && info.Now.Sub(last.at) < min(dropEvery, info.MaxAge/dropShare) {
		return 0, err
	}
	var old []queue.Entry[messages.BuildRecord]
	var unreadable []queue.Broken
	err = q.records.Since(ctx, 0, func(e queue.Entry[messages.BuildRecord]) bool {
		if info.Now.Sub(e.Created) <= info.MaxAge {
			return false
		}
		if e.Value.Finished() && f.settled(&e.Value) {
			old = append(old, e)
		}
		return true
	}, func(u queue.Broken) bool {
		if info.Now.Sub(u.Written) <= info.MaxAge {
			return false
		}
		unreadable = append(unreadable, u)
		return true
	})
	if err == nil {
		old, err = q.unused(ctx, old)
	}
	if err != nil {
		return 0, err
	}
	for _, e := range old {
		unreadable = append(unreadable, queue.Broken{Key: e.Key, Revision: e.Revision})
	}
	last.at, last.more = info.Now, len(unreadable) > dropMost
	for _, u := range unreadable[:min(len(unreadable), dropMost)] {
		if err := q.records.Forget(ctx, u.Key, u.Revision); err != nil {
			return dropped, err
		}
		delete(q.sweeps.broken, u.Key)
		dropped++
	}
	return dropped, nil
}

// unused leaves out the builds whose request is still stored, as their pipeline's last, those that made their
// pipeline's last image, and those that a fleet has or waits for.
func (q *Queue) unused(ctx context.Context, old []queue.Entry[messages.BuildRecord]) ([]queue.Entry[messages.BuildRecord], error) {
	if len(old) == 0 {
		return nil, nil
	}
	pipelines := map[string]*lasting{}
	for _, e := range old {
		name := e.Value.Pipeline
		if pipelines[name] == nil {
			l, err := q.lasting(ctx, name)
			if err != nil {
				return nil, err
			}
			pipelines[name] = l
		}
		if l := pipelines[name]; e.Value.State == messages.BuildStateSucceeded {
			l.image = max(l.image, e.Value.Order)
		}
	}
	used := map[string]bool{}
	if err := q.use(ctx, used); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(old, func(e queue.Entry[messages.BuildRecord]) bool {
		l := pipelines[e.Value.Pipeline]
		lastImage := e.Value.State == messages.BuildStateSucceeded && e.Value.Order == l.image
		return used[e.Key] || lastImage || e.Value.Request == l.request
	}), nil
}

// lasting is what is kept of a pipeline, however old it is.
type lasting struct {
	request uint64 // sequence of its last request
	image   uint64 // order of its last image
}

// lasting reads what events and requests tell of it: an image whose event is gone has an old record.
func (q *Queue) lasting(ctx context.Context, pipeline string) (*lasting, error) {
	l := new(lasting)
	m, err := q.c.Last(ctx, q.c.Space().RequestsStream(), q.c.Space().AnyRequest(pipeline))
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return nil, err
	}
	l.request = m.Sequence // 0 for none
	m, err = q.c.Last(ctx, q.c.Space().EventsStream(), q.c.Space().AnyVersion(messages.TypeImageReady, pipeline, "*"))
	if errors.Is(err, queue.ErrNotFound) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if r, err := q.c.Decode(m); err == nil {
		if ready, ok := r.Payload.(*messages.ImageReady); ok {
			l.image = ready.Order
		}
	}
	return l, nil
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
