package builds

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// follow sees to it that the head that superseded a build was asked for after it, and notes the build of
// it. The hook that should have told of the head can be lost, and one that tells of a branch that came back
// can have been taken for a duplicate. It tells whether it asked.
//
// Requests are cleared only by a sweep that had followed all superseded builds before them: as long as the
// record has no FollowedBy, those after the build's own are all there.
func (q *Queue) follow(ctx context.Context, e queue.Entry[messages.BuildRecord]) (asked bool, err error) {
	follower, err := q.askedAfter(ctx, &e.Value)
	if err != nil {
		return false, err
	}
	now, err := q.records.Current(ctx, e.Key)
	if errors.Is(err, queue.ErrNotFound) || err == nil && now.Revision != e.Revision {
		return false, nil // the next sweep looks at it as it is now
	}
	if err == nil && follower == "" {
		follower, asked, err = q.askFor(ctx, &e.Value)
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

// askedAfter is the build of the head that superseded r, if one was asked for after r as one of the branch's head.
func (q *Queue) askedAfter(ctx context.Context, r *messages.BuildRecord) (build string, err error) {
	err = q.pushesAfter(ctx, r.Pipeline, r.Ref, r.Request, func(a *messages.BuildRequested) {
		if a.Commit == r.Head {
			build = a.Build
		}
	})
	return build, err
}

// pushesAfter calls each with the requests of a pipeline for the head of a branch or tag that came after one, in their order.
func (q *Queue) pushesAfter(ctx context.Context, pipeline, ref string, sequence uint64, each func(*messages.BuildRequested)) error {
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyRequest(pipeline)}, FromSequence: sequence + 1}
	return q.c.Read(ctx, q.c.Space().RequestsStream(), o, func(m queue.Received) error {
		if a, ok := m.Payload.(*messages.BuildRequested); ok && a.FollowsHead() && a.FullRef() == ref {
			each(a)
		}
		return nil
	})
}

// askFor asks for the build of the head that superseded r, under an ID that is the same whoever asks.
func (q *Queue) askFor(ctx context.Context, r *messages.BuildRecord) (build string, asked bool, err error) {
	if r.Asked == nil {
		return "none: its request was not kept", false, nil
	}
	e, next, err := messages.DecodeAs[*messages.BuildRequested](*r.Asked)
	if errors.Is(err, messages.ErrNewer) {
		return "", false, nil // a sweep of that version does it
	}
	if err != nil {
		return "", false, err
	}
	sum := sha256.Sum256([]byte("after " + r.Build))
	next.Build = next.Pipeline.Name + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	next.Order, next.Commit, next.Cause = 0, r.Head, messages.CausePush
	next.SetRef(next.FullRef())
	next.Reason, next.RequestedBy, next.Matched, next.Received = nil, "the build that it superseded, "+r.Build, "", time.Now().UTC()
	a, err := q.Request(ctx, next, e.Traceparent)
	return a.Build, err == nil && !a.Duplicate, err
}
