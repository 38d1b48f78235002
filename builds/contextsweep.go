package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// contextRetry is how long the context of a build that failed is kept, for a retry of it, as long as less than
	// half of the store is used.
	contextRetry = 24 * time.Hour
	// contextLeft is how old a context is when no build asks for it that it is taken for left behind:
	// its upload, and the call that names it, are over by then.
	contextLeft = time.Hour
)

// dropContexts removes the contexts of builds that have ended, and those that nobody asked for a build of.
func (q *Queue) dropContexts(ctx context.Context, f floors, report *SweepReport) error {
	store := q.c.Space().ContextsStore()
	info, err := q.c.Info(ctx, queue.ObjectStore(store).Name)
	if err != nil || info.Messages == 0 && !q.sweeps.haveContexts() {
		return err
	}
	needed, err := q.neededContexts(ctx, f)
	if err != nil {
		return err
	}
	crowded := info.MaxBytes > 0 && info.Bytes > uint64(info.MaxBytes)/2
	kept := map[string]bool{}
	var failed error
	for _, e := range q.sweeps.unfinished {
		r := e.Value
		if r.Context == "" || !r.Ended() || !r.Announced || needed[r.Context] {
			continue
		}
		if r.State == messages.BuildStateFailed && !crowded && info.Now.Sub(e.Created) < q.contextRetry {
			kept[r.Context] = true
			continue
		}
		if err := q.dropContextOf(ctx, e); err != nil {
			failed = errors.Join(failed, fmt.Errorf("removing the context of build %s: %w", r.Build, err))
			continue
		}
		report.Contexts++
	}
	if !q.sweeps.whole() { // what is not read yet may need one
		return failed
	}
	objects, err := q.c.Objects(ctx, store, info.Now.Add(-q.contextLeft))
	for _, o := range objects {
		if !needed[o.Name] && !kept[o.Name] && info.Now.Sub(o.Stored) > q.contextLeft {
			err = errors.Join(err, q.DropContext(ctx, o.Name))
			report.Contexts++
		}
	}
	return errors.Join(failed, err)
}

// haveContexts tells whether any record says that it has a context.
func (s *sweeps) haveContexts() bool {
	for _, e := range s.unfinished {
		if e.Value.Context != "" {
			return true
		}
	}
	return false
}

// neededContexts are those of builds that have not ended: of requests that may come, and of records.
func (q *Queue) neededContexts(ctx context.Context, f floors) (map[string]bool, error) {
	needed := map[string]bool{}
	ended := map[string]bool{}
	for _, e := range q.sweeps.unfinished {
		if ended[e.Key] = e.Value.Ended(); !ended[e.Key] && e.Value.Context != "" {
			needed[e.Value.Context] = true
		}
	}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), queue.ReadOptions{}, func(m queue.Received) error {
		a, ok := m.Payload.(*messages.BuildRequested)
		if ok && a.Context != "" && !ended[a.Build] && m.Sequence > f[messages.TypeOf(m.Message)] {
			needed[a.Context] = true
		}
		return nil
	})
	return needed, err
}

// dropContextOf removes the context of an ended build, and notes that in its record.
func (q *Queue) dropContextOf(ctx context.Context, e queue.Entry[messages.BuildRecord]) error {
	if err := q.DropContext(ctx, e.Value.Context); err != nil {
		return err
	}
	next := e.Value
	next.Context = ""
	if _, err := q.records.Update(ctx, e.Key, next, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
		return err
	}
	return nil
}
