package builds

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// errUndecided tells that whether a head has to be asked for shows when a build has ended that runs or waits.
var errUndecided = errors.New("a build of it has not ended")

// follow sees to it that there is a build of the head that superseded a build, and notes which. The hook that should
// have told of the head can be lost, refused or overtaken, and one that tells of a branch that came back can have been
// taken for a duplicate. It tells whether it asked. With errUndecided the record stays for the next sweep.
//
// Requests are cleared only up to the first one whose superseded build has no FollowedBy: those after that
// build's own are all there.
func (q *Queue) follow(ctx context.Context, e queue.Entry[messages.BuildRecord]) (asked bool, err error) {
	now, err := q.records.Current(ctx, e.Key)
	if errors.Is(err, queue.ErrNotFound) || err == nil && now.Revision != e.Revision {
		return false, nil // the next sweep looks at it as it is now
	}
	follower := ""
	if err == nil {
		follower, asked, err = q.followed(ctx, &e.Value)
	}
	if err != nil || follower == "" {
		return false, err
	}
	next := e.Value
	next.FollowedBy, next.Updated = follower, time.Now().UTC()
	if _, err := q.records.Update(ctx, e.Key, next, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
		return asked, err
	}
	return asked, nil
}

// followed is the build of the head that superseded r, asked for here where nobody had. One write decides: it passes
// only if nothing was asked for of the pipeline since it was found that the head was not. No follower and no error: a newer
// program has to see to it.
func (q *Queue) followed(ctx context.Context, r *messages.BuildRecord) (follower string, asked bool, err error) {
	for range requestTries {
		l := lastRequest{}
		if err := q.look(ctx, r.Pipeline, &l); err != nil {
			return "", false, err
		}
		if follower, err = q.askedAfter(ctx, r.BuildRef, r.Ref, r.Head, r.Why()); follower != "" || err != nil {
			return follower, false, err
		}
		if follower, err = q.builtBefore(ctx, r); follower != "" || err != nil {
			return follower, false, err
		}
		next, trace, err := q.head(ctx, r)
		if errors.Is(err, queue.ErrNotFound) {
			return "none: its request was not kept", false, nil
		}
		if next == nil || err != nil {
			return "", false, err
		}
		m, err := messages.Encode(q.c.Envelope(next.Build, trace), next)
		if err != nil {
			return "", false, err
		}
		subject := q.c.Space().RequestSubject(next.Pipeline.Name)
		_, err = q.c.Store(ctx, subject, m, append(q.afterLast(next.Pipeline.Name, l.sequence), queue.MessageID(next.Build))...)
		switch {
		case err == nil:
			return next.Build, true, nil
		case errors.Is(err, queue.ErrMoved), errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil && q.c.Connected():
			// Somebody else was first, or the answer was lost: look again.
		default:
			return "", false, err
		}
	}
	return "", false, fmt.Errorf("%w: %d others published for pipeline %s in between", queue.ErrUnavailable, requestTries, r.Pipeline)
}

// askedAfter is the build of a commit that was asked for as the head of a branch or tag after another build, or "". One that
// may take what builders keep of earlier builds is none for a schedule, whose builds may not.
func (q *Queue) askedAfter(ctx context.Context, after messages.BuildRef, ref, commit string, why messages.Reason) (build string, err error) {
	err = q.pushesAfter(ctx, after, ref, queue.ReadOptions{}, func(a *messages.BuildRequested) {
		if a.Commit == commit && (a.NoCache || why.Kind != messages.ReasonSchedule) {
			build = a.Build
		}
	})
	return build, err
}

// pushesAfter calls each with the requests for the head of a branch or tag that came after a build's, in their order.
func (q *Queue) pushesAfter(ctx context.Context, after messages.BuildRef, ref string, o queue.ReadOptions, each func(*messages.BuildRequested)) error {
	o.Filters, o.FromSequence = []string{q.c.Space().AnyRequest(after.Pipeline)}, after.Order+1
	return q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if a, ok := m.Payload.(*messages.BuildRequested); ok && a.FollowsHead() && a.FullRef() == ref && a.Order > after.Order {
			each(a)
		}
		return nil
	})
}

// builtBefore is the build of the head that superseded r where it came first and is the newest of the pipeline's, or "":
// webhooks came in another order than the pushes, or the branch went back and nothing was built since. With errUndecided
// that build has not ended. A head that is built once more for some reason has no such build.
func (q *Queue) builtBefore(ctx context.Context, r *messages.BuildRecord) (string, error) {
	if r.State == messages.BuildStateSucceeded || r.Reason.Afresh() { // its own image is newer, or the head's is too old
		return "", nil
	}
	all, err := q.others(ctx, r.BuildRef)
	if err != nil {
		return "", err
	}
	var newest other
	ofHead := func(b *other) bool { return b.ref == r.Ref && b.commit == r.Head }
	for i := range all {
		if b := &all[i]; b.counts(ofHead(b)) && b.Order >= newest.Order {
			newest = *b
		}
	}
	switch {
	case !ofHead(&newest):
		return "", nil
	case newest.state == messages.BuildStateRunning || newest.state == "":
		return "", errUndecided
	}
	return newest.Build, nil
}

// other is another build of a pipeline.
type other struct {
	messages.BuildRef
	ref, commit string
	state       messages.BuildState // "" where nobody has claimed it
	unanswered  bool
}

// counts tells whether it says what the pipeline's fleets have, or will have; of the very head also that there is nothing to be had.
func (b *other) counts(of bool) bool {
	switch b.state {
	case messages.BuildStateFailed:
		return of && !b.unanswered
	case messages.BuildStateSuperseded, messages.BuildStateCancelled, messages.BuildStateUnchanged:
		return false
	}
	return true
}

// others lists the pipeline's builds but one: those that have not ended, and those of the rest whose records were
// written last.
func (q *Queue) others(ctx context.Context, than messages.BuildRef) ([]other, error) {
	var all []other
	requests := map[string]int{}
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(than.Pipeline)}}
	err := q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if a, ok := m.Payload.(*messages.BuildRequested); ok && a.Build != than.Build {
			requests[a.Build] = len(all)
			all = append(all, other{BuildRef: a.BuildRef(), ref: a.FullRef(), commit: a.Commit})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lately, _, err := q.records.Latest(ctx, lastEnds, func(e queue.Entry[messages.BuildRecord]) bool {
		r := &e.Value
		if i, ok := requests[r.Build]; ok {
			all[i].state, all[i].unanswered = r.State, unanswered(r)
			return false
		}
		return r.Pipeline == than.Pipeline && r.Build != than.Build
	})
	for _, e := range lately {
		all = append(all, other{e.Value.BuildRef, e.Value.Ref, e.Value.Commit, e.Value.State, unanswered(&e.Value)})
	}
	for i := 0; i < len(all) && err == nil; i++ {
		if b := &all[i]; b.state == "" {
			err = q.claimed(ctx, b)
		}
	}
	return all, err
}

// claimed reads the record of a build that was found by its request alone. One that nobody can read says nothing of its commit.
func (q *Queue) claimed(ctx context.Context, b *other) error {
	e, err := q.records.Current(ctx, b.Build)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case errors.Is(err, messages.ErrMalformed):
		b.state = messages.BuildStateCancelled
		return nil
	case err == nil:
		b.state, b.unanswered = e.Value.State, unanswered(&e.Value)
	}
	return err
}

// head is the request for the head that superseded r, under an ID that is the same whoever asks; nil where only a newer
// program can read what was asked for.
func (q *Queue) head(ctx context.Context, r *messages.BuildRecord) (next *messages.BuildRequested, trace string, err error) {
	asked, err := q.kept(ctx, r)
	if err != nil {
		return nil, "", err
	}
	e, next, err := messages.DecodeAs[*messages.BuildRequested](asked)
	if errors.Is(err, messages.ErrNewer) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte("after " + r.Build))
	next.Build = next.Pipeline.Name + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	next.Order, next.Commit, next.Cause = 0, r.Head, messages.CausePush
	next.SetRef(next.FullRef())
	next.RequestedBy = "the build that it superseded, " + r.Build
	if r.State != messages.BuildStateSuperseded {
		next.RequestedBy = "build " + r.Build + ", which saw it at the head"
	}
	if !next.Reason.Afresh() {
		next.Reason = &messages.Reason{Kind: messages.ReasonPoll, Detail: "the head when " + r.Build + " was built"}
	}
	next.Matched, next.Received = "", time.Now().UTC()
	return next, e.Traceparent, nil
}
