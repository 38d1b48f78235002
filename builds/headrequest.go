package builds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// RequestHead asks for the build of a branch's head that somebody saw without having been told of a
// push, unless the newest build of the branch is of that commit: then it is a duplicate, as in Request,
// with the same errors. Who sees a head at the same time as others, or as a push is told, asks for
// nothing twice.
func (q *Queue) RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (Accepted, error) {
	n := newestBuild{ref: r.FullRef(), commit: r.Commit}
	if err := q.findNewest(ctx, r.Pipeline.Name, 0, &n); err != nil {
		return Accepted{}, fmt.Errorf("looking for builds of %s: %w", r.Commit, err)
	}
	newest := n.of
	if newest != nil && newest.Commit != r.Commit {
		newest = nil
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

// findNewest finds the newest builds of a pipeline, each of which is of its own branch, tag or commit: among the requests
// that are there, and the records that were written last, as many as writes says, or, where that is 0, as many as it takes
// to see lastEnds of them.
func (q *Queue) findNewest(ctx context.Context, pipeline string, writes uint64, newest ...*newestBuild) error {
	l := lastRequest{}
	if err := q.look(ctx, pipeline, &l); err != nil || l.sequence == 0 {
		return err
	}
	missing := func() bool {
		return slices.ContainsFunc(newest, func(n *newestBuild) bool { return n.of == nil })
	}
	see := func(r *messages.BuildRequested) (of bool) {
		for _, n := range newest {
			of = n.see(r) || of
		}
		return of
	}
	if l.request != nil && l.request.Order == l.sequence { // a retry has an older order
		see(l.request)
	}
	if !missing() { // the usual case: nothing else has to be read
		return nil
	}
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(pipeline)}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if b, ok := m.Payload.(*messages.BuildRequested); ok {
			see(b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	seeRecord := func(e queue.Entry[messages.BuildRecord]) bool {
		return e.Value.Pipeline == pipeline && see(requestOf(&e.Value)) && e.Value.Cause != messages.CauseRetry
	}
	if writes == 0 {
		_, _, err = q.records.Latest(ctx, lastEnds, seeRecord)
		return err
	}
	return q.latelyWritten(ctx, func(e queue.Entry[messages.BuildRecord]) { seeRecord(e) })
}

// latelyWritten gives each the records among the last changes.
func (q *Queue) latelyWritten(ctx context.Context, each func(queue.Entry[messages.BuildRecord])) error {
	info, err := q.records.Info(ctx)
	if err != nil || info.Messages == 0 {
		return err
	}
	return q.writtenSince(ctx, max(info.First, info.Last-min(info.Last, lastWrites)), each)
}

// writtenSince gives each the records that were changed since a revision.
func (q *Queue) writtenSince(ctx context.Context, revision uint64, each func(queue.Entry[messages.BuildRecord])) error {
	return q.records.Since(ctx, revision, func(e queue.Entry[messages.BuildRecord]) bool {
		each(e)
		return true
	}, func(queue.Broken) bool { return true })
}

// requestOf is the request that a build's record is of, as far as tells whether another one asks for the same.
func requestOf(b *messages.BuildRecord) *messages.BuildRequested {
	r := &messages.BuildRequested{Build: b.Build, Order: b.Order, Commit: b.Commit, Cause: b.Cause, Reason: b.Reason, RequestedBy: b.By, OnlyIf: b.OnlyIf}
	r.Pipeline.Name = b.Pipeline
	if tag, ok := strings.CutPrefix(b.Ref, messages.TagRefs); ok {
		r.Tag = tag
	} else {
		r.Ref = b.Ref
	}
	return r
}

// newestBuild is the newest of those builds seen that are of a branch or tag, or of a commit that a person named.
type newestBuild struct {
	ref    string // "" for none
	commit string // "" for none
	firm   bool   // none that is built only if something has changed
	of     *messages.BuildRequested
}

// see tells whether it is of them.
func (n *newestBuild) see(r *messages.BuildRequested) bool {
	ref := r.FullRef()
	of := ref != "" && ref == n.ref || ref == "" && n.commit != "" && r.Commit == n.commit
	of = of && !(n.firm && r.OnlyIf != "")
	if of && (n.of == nil || r.Order >= n.of.Order) {
		n.of = r
	}
	return of
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
