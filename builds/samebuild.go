package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// errWanted tells that a build may not be superseded: a person wants its commit, whether it is a head or not.
var errWanted = errors.New("a person asked for this commit by itself: it is built all the same")

// before tells what earlier requests make of r: the answer to it, where it is their duplicate, or else the build in
// place of which it is asked for, if there is one that came to no image.
func (q *Queue) before(ctx context.Context, r *messages.BuildRequested, l *lastRequest) (duplicate *Accepted, repeats string, err error) {
	if l.serves(r) {
		duplicate, repeats, err = q.answeredBy(ctx, l.request, r)
		if duplicate != nil || repeats != "" || err != nil {
			return duplicate, repeats, err
		}
	}
	if !otherRef(l.request, r) {
		return nil, "", nil
	}
	earlier, err := q.earlierOf(ctx, r)
	if err != nil {
		return nil, "", err
	}
	for _, e := range earlier {
		duplicate, repeats, err = q.answeredBy(ctx, e, r)
		if duplicate != nil || repeats != "" || err != nil {
			return duplicate, repeats, err
		}
	}
	return nil, "", nil
}

// earlierOf finds the requests that r can be a duplicate of, where others came between: the newest of its branch or tag, and
// the newest in which a person named its commit.
func (q *Queue) earlierOf(ctx context.Context, r *messages.BuildRequested) (out []*messages.BuildRequested, err error) {
	own := newestBuild{ref: r.FullRef(), firm: r.OnPurpose()}
	named := newestBuild{commit: r.Commit}
	if err := q.findNewest(ctx, r.Pipeline.Name, lastWrites, &own, &named); err != nil {
		return nil, err
	}
	if n := own.of; n != nil {
		placed := *n
		if n.Cause == messages.CauseRetry { // of the newest, so that nothing came between
			placed.Cause = messages.CausePush
		}
		if placed.Serves(r) {
			out = append(out, n)
		}
	}
	if n := named.of; n != nil && n.Serves(r) && (own.of == nil || own.of.Order < n.Order) {
		out = append(out, n)
	}
	return out, nil
}

// answeredBy tells what the build of an earlier request of the same commit makes of r, as before does. Neither is said
// where it has ended, and r asks for one more.
func (q *Queue) answeredBy(ctx context.Context, earlier, r *messages.BuildRequested) (duplicate *Accepted, repeats string, err error) {
	e, err := q.records.Current(ctx, earlier.Build) // what is stale could lose a push
	switch {
	case errors.Is(err, messages.ErrMalformed):
		return nil, earlier.Build, nil
	case err != nil && !errors.Is(err, queue.ErrNotFound): // without a record it is queued
		return nil, "", err
	}
	a := &Accepted{Build: earlier.Build, Order: earlier.Order, Duplicate: true}
	if !e.Value.Ended() {
		if over, err := q.want(ctx, earlier, r); err != nil || !over {
			return a, "", err
		}
		if e, err = q.records.Current(ctx, earlier.Build); err != nil {
			return nil, "", err
		}
	}
	switch a.Ended = e.Value.State; {
	case unanswered(&e.Value):
		return nil, earlier.Build, nil
	case !settles(earlier, r):
		return nil, "", nil
	}
	return a, "", nil
}

// settles tells whether an earlier build that has ended, with an image or a verdict, is an answer to r: to who tells of a head
// that it was built for, and not to a person who asks anew.
func settles(earlier, r *messages.BuildRequested) bool {
	switch r.Why().Kind {
	case messages.ReasonPerson, messages.ReasonRetry:
		return false
	}
	return earlier.FullRef() == r.FullRef()
}

// want has the build of an earlier request not superseded where r names its commit and that one asked for it as a head. It
// tells whether the build was over before that could be.
func (q *Queue) want(ctx context.Context, earlier, r *messages.BuildRequested) (over bool, err error) {
	if r.FollowsHead() || !earlier.FollowsHead() {
		return false, nil
	}
	_, err = q.records.Modify(ctx, earlier.Build, func(b *messages.BuildRecord) error {
		if b.Build == "" {
			queued, err := q.queuedBuild(ctx, earlier.Build)
			if err != nil {
				return err
			}
			*b = queued
		}
		switch {
		case b.Ended():
			return errOver
		case b.WantedBy != "":
			return queue.ErrUnchanged
		}
		b.WantedBy, b.Updated = r.RequestedBy, time.Now().UTC()
		if b.WantedBy == "" {
			b.WantedBy = "a person"
		}
		_, err := q.slim(b)
		return err
	})
	if errors.Is(err, errOver) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("noting that build %s is wanted: %w", earlier.Build, err)
	}
	return false, nil
}

// errOver tells that a build has ended.
var errOver = errors.New("the build is over")
