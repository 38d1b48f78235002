package builds

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// refs is what is known of the newest build of each branch and tag. Requests and records are read once, and then what came
// since: it costs little to ask for one pipeline after the other.
type refs struct {
	mu        sync.Mutex // held while it is caught up
	requests  uint64     // the first sequence that was not read yet
	records   uint64     // the first revision
	pipelines map[string]map[string]newestRef
}

type newestRef struct {
	commit string
	order  uint64
	at     time.Time // by the server's clock
}

// Newest is the newest build of a branch or tag.
type Newest struct {
	Commit string
	Age    time.Duration // since it was asked for, or something was told of it, by the server's clock
}

// Refs has the branches and tags, by their full names, of which a pipeline has builds that are still known, with the
// newest one of each.
func (q *Queue) Refs(ctx context.Context, pipeline string) (map[string]Newest, error) {
	q.refs.mu.Lock()
	defer q.refs.mu.Unlock()
	now, err := q.catchUpRefs(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]Newest{}
	for ref, n := range q.refs.pipelines[pipeline] {
		out[ref] = Newest{n.commit, now.Sub(n.at)}
	}
	return out, nil
}

// ForgetRefs drops what is known of a pipeline's branches and tags but those that are kept: their builds may be long over.
func (q *Queue) ForgetRefs(pipeline string, kept func(ref string) bool) {
	q.refs.mu.Lock()
	defer q.refs.mu.Unlock()
	maps.DeleteFunc(q.refs.pipelines[pipeline], func(ref string, _ newestRef) bool { return !kept(ref) })
}

// catchUpRefs reads what was asked for and written since the last time; all of it where stream or bucket are others. It returns
// the server's time.
func (q *Queue) catchUpRefs(ctx context.Context) (now time.Time, err error) {
	r := &q.refs
	records, err := q.records.Info(ctx)
	if err != nil {
		return now, err
	}
	requests, err := q.c.Info(ctx, q.c.Space().RequestsStream())
	if err != nil {
		return now, err
	}
	if r.pipelines == nil || r.records > records.Last+1 || r.requests > requests.Last+1 {
		r.requests, r.records, r.pipelines = 0, 0, map[string]map[string]newestRef{}
	}
	if r.requests <= requests.Last {
		o := queue.ReadOptions{Filters: q.c.Space().RequestSubjects(), FromSequence: r.requests, Broken: func(queue.Stored, error) {}}
		err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
			if b, ok := m.Payload.(*messages.BuildRequested); ok {
				r.see(b.Pipeline.Name, b.FullRef(), b.Commit, b.Order, m.Stored)
			}
			r.requests = m.Sequence + 1
			return nil
		})
		if err != nil {
			return now, err
		}
		r.requests = max(r.requests, requests.Last+1)
	}
	if r.records > records.Last {
		return requests.Now, nil
	}
	err = q.records.Since(ctx, r.records, func(e queue.Entry[messages.BuildRecord]) bool {
		r.see(e.Value.Pipeline, e.Value.Ref, e.Value.Commit, e.Value.Order, e.Created)
		r.records = e.Revision + 1
		return true
	}, func(queue.Broken) bool { return true })
	if err == nil {
		r.records = max(r.records, records.Last+1)
	}
	return requests.Now, err
}

func (r *refs) see(pipeline, ref, commit string, order uint64, at time.Time) {
	if ref == "" || commit == "" {
		return
	}
	of := r.pipelines[pipeline]
	if of == nil {
		of = map[string]newestRef{}
		r.pipelines[pipeline] = of
	}
	if n, known := of[ref]; !known || order > n.order || order == n.order && at.Before(n.at) {
		of[ref] = newestRef{commit, order, at}
	}
}
