package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// outcome settles how the build ended, with the exact message that says so, and announces it.
func (a *attempt) outcome(p messages.Payload) error {
	next := a.record
	if err := decide(&next, a.request.BuildRef(), p); err != nil {
		return err
	}
	m, err := messages.Encode(a.w.c.Envelope(a.request.Build, a.envelope.Traceparent), p)
	if err != nil {
		return err
	}
	next.Outcome = &m
	if err := a.d.insist(func() error { return a.write(next) }); err != nil {
		return fmt.Errorf("settling build %s: %w", a.request.Build, err)
	}
	return a.announce()
}

// decide writes into a record how the build ended.
func decide(r *messages.BuildRecord, ref messages.BuildRef, p messages.Payload) error {
	switch p := p.(type) {
	case *messages.ImageReady:
		p.BuildRef = ref
		r.State, r.Image, r.Tag = messages.BuildSucceeded, p.Image, p.Tag
	case *messages.BuildFailed:
		p.BuildRef = ref
		failure := p.Failure
		r.State, r.Failure = messages.BuildFailedHere, &failure
	case *messages.BuildSuperseded:
		p.BuildRef = ref
		r.State = messages.BuildSkipped
	case *messages.BuildCancelled:
		p.BuildRef = ref
		r.State = messages.BuildStopped
	default:
		return Permanent(fmt.Errorf("build %s returned %T, which ends no build", ref.Build, p))
	}
	return nil
}

// announce finishes an ended build: label, event, mark, acknowledgement. Where the label can't
// be put or the event not be sent the request comes again, and finds the record ended.
func (a *attempt) announce() error {
	err := a.d.insist(func() error {
		return a.w.c.finish(a.d.ctx, Entry[messages.BuildRecord]{
			Key: a.request.Build, Value: a.record, Revision: a.revision,
		}, a.w.Tag)
	})
	switch {
	case errors.Is(err, ErrLeaseLost) || err != nil && !a.d.alive():
		return ErrLeaseLost
	case err != nil:
		a.w.Logger.Warn().Err(err).Str("build", a.request.Build).Msg("outcome not announced yet")
		return a.d.back(backoff(a.w.RetryDelay, a.d.deliveries))
	}
	return a.d.done()
}

// finish announces an ended build whose outcome may not have been announced: the label where
// there is an image, the event, which exists once however often this is done, and the mark.
func (c *Client) finish(ctx context.Context, e Entry[messages.BuildRecord], tag func(context.Context, messages.BuildRecord) error) error {
	r := e.Value
	if r.Announced || r.Outcome == nil {
		return nil
	}
	if r.State == messages.BuildSucceeded && tag != nil {
		if err := tag(ctx, r); err != nil {
			return fmt.Errorf("tagging the image of build %s: %w", r.Build, err)
		}
	}
	_, p, err := messages.Decode(*r.Outcome)
	if err != nil {
		return fmt.Errorf("reading the outcome of build %s: %w", r.Build, err)
	}
	if _, err := c.PublishOnce(ctx, c.space.Subject(p), *r.Outcome); err != nil {
		return err
	}
	r.Announced = true
	if _, err := Builds(c).Update(ctx, e.Key, r, e.Revision); err != nil && !errors.Is(err, ErrMoved) {
		return err // when moved, somebody else has marked it
	}
	return nil
}
