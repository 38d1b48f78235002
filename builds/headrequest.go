package builds

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// RequestHead asks for the build of a branch's head that somebody saw without having been told of a
// push, unless the newest build of the branch is of that commit: then it is a duplicate, as in Request,
// with the same errors. Who sees a head at the same time as others, or as a push is told, asks for
// nothing twice.
func (q *Queue) RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (Accepted, error) {
	newest, err := q.newestOf(ctx, r, newestBuild{ref: r.FullRef(), commit: r.Commit, named: true})
	if err != nil {
		return Accepted{}, fmt.Errorf("looking for builds of %s: %w", r.Commit, err)
	}
	if newest != nil {
		again, err := q.wantedAgain(ctx, newest.Build)
		if err != nil {
			return Accepted{}, fmt.Errorf("reading the record of build %s: %w", newest.Build, err)
		}
		if !again {
			return Accepted{Build: newest.Build, Order: newest.Order, Duplicate: true}, nil
		}
	}
	a, err := q.Request(ctx, r, traceparent)
	if err == nil && newest != nil {
		q.builtAgain(ctx, newest.Build)
	}
	return a, err
}

// lastEnds is how many builds of a branch or commit, but retries, are looked at for the newest, those whose records
// were written last: more than end after one that came later.
const lastEnds = 10

// lastWrites is how many of the last changes of records are looked at for the push that a hook tells of again, while
// others were told of other branches. One that is told again after more is taken for a new one.
const lastWrites = 500

// newestOf finds the newest build of r's pipeline that n is about, and returns it if it is of the commit.
func (q *Queue) newestOf(ctx context.Context, r *messages.BuildRequested, n newestBuild) (*messages.BuildRef, error) {
	l := lastRequest{}
	if err := q.look(ctx, r.Pipeline.Name, &l); err != nil {
		return nil, err
	}
	if l.sequence == 0 {
		return nil, nil
	}
	if l.request != nil && l.request.Order == l.sequence { // a retry has an older order
		n.see(l.request.BuildRef(), l.request.FullRef(), l.request.Commit)
	}
	if n.of.Build != "" { // the usual case: nothing else has to be read
		return n.found(), nil
	}
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(r.Pipeline.Name)}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if b, ok := m.Payload.(*messages.BuildRequested); ok {
			n.see(b.BuildRef(), b.FullRef(), b.Commit)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	see := func(e queue.Entry[messages.BuildRecord]) bool {
		b := e.Value
		return b.Pipeline == r.Pipeline.Name && n.see(b.BuildRef, b.Ref, b.Commit) && b.Cause != messages.CauseRetry
	}
	if n.named {
		_, _, err = q.records.Latest(ctx, lastEnds, see)
		return n.found(), err
	}
	err = q.latelyWritten(ctx, func(e queue.Entry[messages.BuildRecord]) { see(e) })
	return n.found(), err
}

// latelyWritten gives each the records among the last changes.
func (q *Queue) latelyWritten(ctx context.Context, each func(queue.Entry[messages.BuildRecord])) error {
	info, err := q.records.Info(ctx)
	if err != nil || info.Messages == 0 {
		return err
	}
	return q.records.Since(ctx, max(info.First, info.Last-min(info.Last, lastWrites)), func(e queue.Entry[messages.BuildRecord]) bool {
		each(e)
		return true
	}, func(queue.Broken) bool { return true })
}

// newestBuild is the newest of those builds seen that are of a branch or tag, or also of a commit that a person named.
type newestBuild struct {
	ref, commit string
	named       bool // a person's word for the commit counts
	of          messages.BuildRef
	same        bool // it is of the commit
}

// see tells whether it is of them.
func (n *newestBuild) see(b messages.BuildRef, ref, commit string) bool {
	of := ref == n.ref || n.named && ref == "" && commit == n.commit
	if of && b.Order >= n.of.Order {
		n.of, n.same = b, commit == n.commit
	}
	return of
}

func (n *newestBuild) found() *messages.BuildRef {
	if !n.same {
		return nil
	}
	return &n.of
}

// wantedAgain tells whether the same is to be asked for again, by a build's record.
func (q *Queue) wantedAgain(ctx context.Context, build string) (bool, error) {
	e, err := q.records.Current(ctx, build)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil // nobody has claimed it yet, or it is long over
	}
	if errors.Is(err, messages.ErrMalformed) {
		return true, nil
	}
	return err == nil && unanswered(&e.Value), err
}

// unanswered tells whether a build ended without saying anything of its commit: it was superseded, and
// the branch may have come back to it, or the machines are to blame.
func unanswered(r *messages.BuildRecord) bool {
	return r.State == messages.BuildStateSuperseded || r.Failure != nil && r.Failure.Class == messages.FailureInfrastructure
}

// Refs has the branches and tags, by their full names, of which a pipeline has builds that are still known, with the
// newest one's commit.
func (q *Queue) Refs(ctx context.Context, pipeline string) (map[string]string, error) {
	refs, orders := map[string]string{}, map[string]uint64{}
	see := func(ref, commit string, order uint64) {
		if ref != "" && commit != "" && order >= orders[ref] {
			refs[ref], orders[ref] = commit, order
		}
	}
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(pipeline)}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if b, ok := m.Payload.(*messages.BuildRequested); ok {
			see(b.FullRef(), b.Commit, b.Order)
		}
		return nil
	})
	if err == nil {
		err = q.records.Since(ctx, 0, func(e queue.Entry[messages.BuildRecord]) bool {
			if e.Value.Pipeline == pipeline {
				see(e.Value.Ref, e.Value.Commit, e.Value.Order)
			}
			return true
		}, func(queue.Broken) bool { return true })
	}
	return refs, err
}
