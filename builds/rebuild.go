package builds

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// RequestAfter stores a build request if the pipeline's last one is that of a sequence still, as BuiltOn had it: who decided by
// what was asked for until then decides anew where something was asked for meanwhile. So several producers that see the same
// change ask once. The same push for the same reason is a duplicate, as in Request. Errors are queue.ErrMoved, and those of
// Request.
func (q *Queue) RequestAfter(ctx context.Context, r *messages.BuildRequested, last uint64, traceparent string) (Accepted, error) {
	a, err := q.requestAfter(ctx, r, last, traceparent)
	if err != nil {
		return Accepted{}, fmt.Errorf("requesting build %s: %w", r.Build, err)
	}
	return a, nil
}

func (q *Queue) requestAfter(ctx context.Context, r *messages.BuildRequested, last uint64, traceparent string) (Accepted, error) {
	m, err := messages.Encode(q.c.Envelope(r.Build, traceparent), r)
	if err != nil {
		return Accepted{}, err
	}
	for {
		var l lastRequest
		if err := q.look(ctx, r.Pipeline.Name, &l); err != nil {
			return Accepted{}, err
		}
		switch {
		case l.request != nil && l.request.Build == r.Build: // stored, only the answer was lost
			return Accepted{Build: r.Build, Order: l.request.Order}, nil
		case l.sequence != last:
			return Accepted{}, queue.ErrMoved
		case l.serves(r):
			duplicate, _, err := q.answeredBy(ctx, l.request, r)
			if err != nil {
				return Accepted{}, err
			}
			if duplicate != nil {
				return *duplicate, nil
			}
		}
		sequence, err := q.c.Store(ctx, q.c.Space().RequestSubject(r.Pipeline.Name), m, append(q.afterLast(r.Pipeline.Name, last), queue.MessageID(r.Build))...)
		switch {
		case err == nil:
			return l.accept(r, sequence), nil
		case errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil && q.c.Connected():
			// The answer was lost: look again.
		default:
			return Accepted{}, err
		}
	}
}
