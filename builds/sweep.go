package builds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// SweepReport tells what a sweep did.
type SweepReport struct {
	Announced int    // ended builds whose announcement it finished
	Requeued  int    // running builds that had no request behind them any more
	Followed  int    // builds that it asked for, of heads that superseded others and that nobody had asked for
	Contexts  int    // uploaded contexts that it removed
	Cleared   uint64 // requests that it removed, all of them settled
	Dropped   int    // records that it removed, of builds that ended longer ago than events are kept
}

// Sweep finishes what a crash can leave behind: the announcement of ended builds whose
// request will not come again, and running builds whose request is gone, which are asked for
// again, or, where nobody has it any more, end as failed. It asks for the builds of heads that superseded others, removes contexts that no build needs, clears
// settled requests, keeping each pipeline's last, which decides on duplicates, and drops the records of builds
// that nothing asks for any more. It may run anywhere, at any time, at once. It costs what is
// not finished, and what was written since the last sweep by this Queue, not what there is.
func (q *Queue) Sweep(ctx context.Context) (SweepReport, error) {
	q.sweeps.mu.Lock()
	defer q.sweeps.mu.Unlock()
	var report SweepReport
	floors, err := q.floors(ctx)
	if err == nil {
		err = q.catchUp(ctx) // after the floors: who has its request settled has written its end
	}
	if err != nil {
		return report, fmt.Errorf("sweeping: %w", err)
	}
	var failed error
	undecided := map[string]uint64{} // the first request of each pipeline whose build is not followed yet
	for _, key := range slices.Sorted(maps.Keys(q.sweeps.unfinished)) {
		e := q.sweeps.unfinished[key]
		err := q.sweepBuild(ctx, e, floors, &report)
		if errors.Is(err, errUndecided) {
			if first, ok := undecided[e.Value.Pipeline]; !ok || e.Value.Order < first {
				undecided[e.Value.Pipeline] = min(e.Value.Order, e.Value.Request)
			}
			continue
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("build %s: %w", key, err))
		}
	}
	if failed == nil { // what follows a superseded build is looked for among the requests
		report.Cleared, failed = q.clear(ctx, floors, undecided)
	}
	failed = errors.Join(failed, q.dropContexts(ctx, floors, &report), q.dropBeats(ctx))
	if report.Dropped, err = q.drop(ctx, floors); err != nil || failed != nil {
		return report, fmt.Errorf("sweeping: %w", errors.Join(failed, err))
	}
	return report, nil
}

// floors has for each version of a request that is known the sequence up to which all of that
// version are acknowledged: none of them comes again. 0 where no builder has ever taken any.
type floors map[messages.Type]uint64

func (q *Queue) floors(ctx context.Context) (floors, error) {
	f := floors{}
	for _, t := range messages.TypeBuildRequested.Versions() {
		floor, err := q.c.AckFloor(ctx, requests(q.c, t, 0))
		if err != nil {
			return nil, err
		}
		f[t] = floor
	}
	return f, nil
}

// settled tells whether the request of a build does not come again. That of a newer version may.
func (f floors) settled(r *messages.BuildRecord) bool {
	if r.Asked != nil {
		floor, known := f[messages.TypeOf(*r.Asked)]
		return known && r.Request <= floor
	}
	for _, floor := range f { // it was not kept, so that its version isn't known
		if r.Request > floor {
			return false
		}
	}
	return true
}

// sweepBuild does the next thing that is left to do for a build.
func (q *Queue) sweepBuild(ctx context.Context, e queue.Entry[messages.BuildRecord], f floors, report *SweepReport) error {
	r := e.Value
	behind := !f.settled(&r) // a message that may come again
	switch {
	case r.Ended() && !r.Announced && (!behind || r.State != messages.BuildStateSucceeded):
		// The label of a succeeded one is a builder's work, as long as one gets the request.
		if err := q.finish(ctx, e); err != nil {
			return err
		}
		report.Announced++
	case !r.Ended() && !behind:
		switch err := q.requeue(ctx, e); {
		case errors.Is(err, queue.ErrNotFound):
			return q.lost(ctx, e)
		case err != nil:
			return fmt.Errorf("asking for it again: %w", err)
		}
		report.Requeued++
	case r.Ended() && r.Announced && r.Head != "" && r.FollowedBy == "":
		asked, err := q.follow(ctx, e)
		if err != nil {
			return fmt.Errorf("asking for the build of %s, which superseded it: %w", r.Head, err)
		}
		if asked {
			report.Followed++
		}
	}
	return nil
}

// requeue puts the request of a running build back into the stream and notes its new place,
// so that the next sweep does not do it again. It stays of its version, for all who can read that.
// A worker that still has the build is taken over from, as after any redelivery.
func (q *Queue) requeue(ctx context.Context, e queue.Entry[messages.BuildRecord]) error {
	asked, err := q.kept(ctx, &e.Value)
	if err != nil {
		return err
	}
	m, request, err := messages.WithOrder(queue.AsSent(asked), e.Value.Order)
	if err != nil {
		return err
	}
	sequence, err := q.c.Store(ctx, q.c.Space().SubjectAs(messages.TypeOf(m), request), m,
		queue.MessageID(fmt.Sprintf("requeue-%s-%d", e.Key, e.Revision)))
	if err != nil {
		return err
	}
	next := e.Value
	next.Request, next.Asked, next.Updated = sequence, &m, time.Now().UTC()
	if _, err := q.slim(&next); err != nil {
		return err
	}
	if _, err := q.records.Update(ctx, e.Key, next, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
		return err
	}
	return nil
}

// lost ends a build that has not ended and whose request nobody has any more: nothing else would, and those of its branch that
// wait for it would do so for ever. The next sweep announces it.
func (q *Queue) lost(ctx context.Context, e queue.Entry[messages.BuildRecord]) error {
	next := e.Value
	p := &messages.BuildFailed{Attempt: next.Attempt, Commit: next.Commit, Failure: messages.Failure{
		Class: messages.FailureInfrastructure, Reason: "its request is gone from its stream, and was too large to be kept in the build's record",
		Fix: "push or submit it again",
	}}
	if err := settle(&next, next.BuildRef, p); err != nil {
		return err
	}
	m, err := messages.Encode(q.c.Envelope(e.Key, ""), p)
	if err != nil {
		return err
	}
	next.Outcome, next.Updated = &m, time.Now().UTC()
	if _, err := q.records.Update(ctx, e.Key, next, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
		return err
	}
	return nil
}

// clear removes the settled requests of each pipeline but its last, and those from its first that is undecided on. Requests
// of versions that this binary does not know are left alone.
func (q *Queue) clear(ctx context.Context, f floors, undecided map[string]uint64) (uint64, error) {
	stream := q.c.Space().RequestsStream()
	subjects, err := q.c.Subjects(ctx, stream, q.c.Space().RequestSubjects()[0])
	if err != nil {
		return 0, err
	}
	pipelines := map[string]uint64{} // to the number of their requests
	pipeline := func(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
	for subject, count := range subjects {
		pipelines[pipeline(subject)] += count
	}
	var cleared uint64
	for subject := range subjects {
		of := pipeline(subject)
		floor := f[q.c.Space().TypeAt(subject)]
		if floor == 0 || pipelines[of] < 2 {
			continue
		}
		last, err := q.c.Last(ctx, stream, q.c.Space().AnyRequest(of))
		if err != nil {
			return cleared, err
		}
		before := min(floor+1, last.Sequence)
		if first, ok := undecided[of]; ok {
			before = min(before, first)
		}
		if before < 2 { // 0 would be all of them
			continue
		}
		n, err := q.c.Purge(ctx, stream, subject, before)
		if err != nil {
			return cleared, err
		}
		cleared += n
	}
	return cleared, nil
}
