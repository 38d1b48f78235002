package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// requestTries bounds how often a request is tried again because others publish for the
// same pipeline at the same time.
const requestTries = 20

// Accepted tells what became of a build request.
type Accepted struct {
	Build     string // the build's ID; the earlier one's for a duplicate
	Order     uint64 // its place among the requests; a retry keeps the first one's
	Duplicate bool   // the last request asked for the same already
}

// Request stores a build request, unless the pipeline's last one asked for the same push:
// then it is a duplicate and the earlier build is returned, but where that was superseded: the
// branch can have come back to the commit. A request of a person, which nobody repeats by
// accident, is a duplicate only while the earlier build runs. One write decides. Errors are
// ErrFull, ErrUnavailable (it may be stored: ask again), or r's own.
func (c *Client) Request(ctx context.Context, r *messages.BuildRequested, traceparent string) (Accepted, error) {
	m, err := messages.Encode(c.Envelope(r.Build, traceparent), r)
	if err != nil {
		return Accepted{}, err
	}
	w := &waiting{ctx: ctx, request: r, message: m, answer: make(chan answer, 1)}
	if c.intake.join(w) {
		go c.takeIn()
	}
	var a answer
	select {
	case a = <-w.answer:
	case <-ctx.Done():
		a.err = fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	if a.err != nil {
		return Accepted{}, fmt.Errorf("requesting build %s: %w", r.Build, a.err)
	}
	return a.accepted, nil
}

// request stores one request by itself.
func (c *Client) request(ctx context.Context, r *messages.BuildRequested, m messages.Message, l *lastRequest) (Accepted, error) {
	subject := c.space.RequestSubject(r.Pipeline.Name)
	for range requestTries {
		if !l.known || l.same(r) { // what is remembered decides nothing: look
			if err := c.look(ctx, r.Pipeline.Name, l); err != nil {
				return Accepted{}, err
			}
		}
		if l.request != nil && l.request.Build == r.Build { // stored, only the answer was lost
			return Accepted{Build: r.Build, Order: l.request.Order}, nil
		}
		if l.same(r) {
			over, err := c.repeatable(ctx, l.request)
			if err != nil {
				return Accepted{}, err
			}
			if !over {
				return Accepted{Build: l.request.Build, Order: l.request.Order, Duplicate: true}, nil
			}
		}
		// Stored already, with only the answer lost and others since: the ID has the stream
		// answer with the first one's sequence.
		sequence, err := c.store(ctx, subject, m,
			append(c.expectRequest(r.Pipeline.Name, l.sequence), header{jetstream.MsgIDHeader, r.Build})...)
		switch {
		case err == nil:
			return l.accept(r, sequence), nil
		case errors.Is(err, ErrMoved), errors.Is(err, ErrUnavailable) && ctx.Err() == nil && c.nc.IsConnected():
			// Somebody else was first, or the answer was lost: look again.
			l.known = false
		default:
			l.known = false
			return Accepted{}, err
		}
	}
	return Accepted{}, fmt.Errorf("%w: %d others published for pipeline %s in between", ErrUnavailable, requestTries, r.Pipeline.Name)
}

func (l *lastRequest) same(r *messages.BuildRequested) bool {
	return l.request != nil && l.request.SamePush(r)
}

func (l *lastRequest) accept(r *messages.BuildRequested, sequence uint64) Accepted {
	kept := *r
	kept.Accepted(sequence)
	l.known, l.sequence, l.request = true, sequence, &kept
	return Accepted{Build: kept.Build, Order: kept.Order}
}

// look reads the pipeline's last request, of whichever version.
func (c *Client) look(ctx context.Context, pipeline string, l *lastRequest) error {
	l.known = false
	s, err := c.last(ctx, c.space.RequestsStream(), c.space.AnyRequest(pipeline))
	if errors.Is(err, ErrNotFound) {
		l.known, l.sequence, l.request = true, 0, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the pipeline's last request: %w", err)
	}
	l.known, l.sequence, l.request = true, s.sequence, nil
	if r, err := c.received(s); err == nil {
		l.request, _ = r.Payload.(*messages.BuildRequested)
	}
	return nil
}

// repeatable tells whether the same may be asked for again, by the earlier build's record: a
// push may once that was superseded, as its branch can have come back to the commit; a
// person's wish once it is over.
func (c *Client) repeatable(ctx context.Context, earlier *messages.BuildRequested) (bool, error) {
	e, err := Builds(c).Current(ctx, earlier.Build) // what is stale could lose a push
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if earlier.Cause == messages.CausePush {
		return e.Value.State == messages.BuildStateSuperseded, nil
	}
	return e.Value.Ended(), nil
}
