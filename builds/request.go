package builds

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// requestTries bounds how often a request is tried again because others publish for the
// same pipeline at the same time.
const requestTries = 20

// Accepted tells what became of a build request.
type Accepted struct {
	Build     string              // the build's ID; the earlier one's for a duplicate
	Order     uint64              // its place among the requests; a retry keeps the first one's
	Duplicate bool                // the last request asked for the same already
	Ended     messages.BuildState // how a duplicate's build ended, "" where it hasn't
	Repeats   string              // the earlier build of the same push that came to no image, and that this new one is in place of; or ""
}

// Request stores a build request, unless an earlier one asked for the same: then it is a duplicate, and the earlier build
// is returned. That is so as long as the earlier build is queued or runs, whoever asked for it, with nothing of the branch
// or tag between (see messages.BuildRequested.Serves); a commit that a person names is then built even when the branch
// moves on. Once it is over, a push or a poll is still its duplicate, but where it was superseded, as the
// branch can have come back to the commit, or where the machines are to blame for its end; a person's wish is not. One
// write decides. Errors are
// queue.ErrFull, queue.ErrUnavailable (it may be stored: ask again), or r's own.
func (q *Queue) Request(ctx context.Context, r *messages.BuildRequested, traceparent string) (Accepted, error) {
	m, err := messages.Encode(q.c.Envelope(r.Build, traceparent), r)
	if err != nil {
		return Accepted{}, err
	}
	w := &waiting{ctx: ctx, request: r, message: m, answer: make(chan answer, 1)}
	var a answer
	if q.intake.join(w) {
		a = q.takeInAlone(w)
	} else {
		select {
		case a = <-w.answer:
		case <-ctx.Done():
			a.err = context.Cause(ctx)
		}
	}
	if a.err != nil && ctx.Err() != nil {
		a.err = fmt.Errorf("%w: %w", queue.ErrUnavailable, context.Cause(ctx))
	}
	if a.err != nil {
		return Accepted{}, fmt.Errorf("requesting build %s: %w", r.Build, a.err)
	}
	return a.accepted, nil
}

// request stores one request by itself.
func (q *Queue) request(ctx context.Context, r *messages.BuildRequested, m messages.Message, l *lastRequest) (Accepted, error) {
	subject := q.c.Space().RequestSubject(r.Pipeline.Name)
	for range requestTries {
		// What is remembered may be out of date: others publish too. It is good enough to try a write,
		// which the stream refuses where it is; but not to call a push a duplicate.
		if !l.known || l.serves(r) {
			if err := q.look(ctx, r.Pipeline.Name, l); err != nil {
				return Accepted{}, err
			}
		}
		if l.request != nil && l.request.Build == r.Build { // stored, only the answer was lost
			return Accepted{Build: r.Build, Order: l.request.Order}, nil
		}
		duplicate, repeats, err := q.before(ctx, r, l)
		if err != nil {
			return Accepted{}, err
		}
		if duplicate != nil {
			return *duplicate, nil
		}
		// Stored already, with only the answer lost and others since: the ID has the stream
		// answer with the first one's sequence.
		sequence, err := q.c.Store(ctx, subject, m, append(q.afterLast(r.Pipeline.Name, l.sequence), queue.MessageID(r.Build))...)
		switch {
		case err == nil:
			accepted := l.accept(r, sequence)
			if accepted.Repeats = repeats; repeats != "" {
				q.builtAgain(ctx, repeats)
			}
			return accepted, nil
		case errors.Is(err, queue.ErrMoved), errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil && q.c.Connected():
			// Somebody else was first, or the answer was lost: look again.
			l.known = false
		default:
			l.known = false
			return Accepted{}, err
		}
	}
	return Accepted{}, fmt.Errorf("%w: %d others published for pipeline %s in between", queue.ErrUnavailable, requestTries, r.Pipeline.Name)
}

func (l *lastRequest) serves(r *messages.BuildRequested) bool {
	return l.request != nil && l.request.Serves(r)
}

// otherRef tells whether the request before r says nothing of whether r is new: it was for another branch or tag, or for none,
// or it is a retry, which has an older place, or one that may come to nothing, and r is to be built.
func otherRef(before, r *messages.BuildRequested) bool {
	return before != nil && r.FollowsHead() &&
		(before.FullRef() != r.FullRef() || before.Cause == messages.CauseRetry || before.OnlyIf != "" && r.OnPurpose())
}

func (l *lastRequest) accept(r *messages.BuildRequested, sequence uint64) Accepted {
	kept := *r
	kept.Accepted(sequence)
	l.known, l.sequence, l.request = true, sequence, &kept
	return Accepted{Build: kept.Build, Order: kept.Order}
}

// look reads the pipeline's last request, of whichever version.
func (q *Queue) look(ctx context.Context, pipeline string, l *lastRequest) error {
	l.known = false
	s, err := q.c.Last(ctx, q.c.Space().RequestsStream(), q.c.Space().AnyRequest(pipeline))
	if errors.Is(err, queue.ErrNotFound) {
		l.known, l.sequence, l.request = true, 0, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the pipeline's last request: %w", err)
	}
	l.known, l.sequence, l.request = true, s.Sequence, nil
	if r, err := q.c.Decode(s); err == nil {
		l.request, _ = r.Payload.(*messages.BuildRequested)
	}
	return nil
}

// afterLast lets a build request pass only if the last one of its pipeline, of whichever version,
// has this sequence: producers of different versions may run side by side.
func (q *Queue) afterLast(pipeline string, sequence uint64) []queue.Header {
	return []queue.Header{queue.Expect(sequence), queue.ExpectOn(q.c.Space().AnyRequest(pipeline))}
}
