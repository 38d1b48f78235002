package builds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/tracing"
)

// tagTries bounds how often the label of an image is tried, each time in a delivery of its own.
const tagTries = 5

// outcome settles how the build ended, with the exact message that says so, and announces it.
func (a *attempt) outcome(p messages.Payload) error {
	if s, ok := p.(*messages.BuildSuperseded); ok && s.FollowedBy == "" { // else a sweep finds it
		s.FollowedBy, _ = a.w.q.askedAfter(a.d.Context(), a.request.BuildRef(), a.request.FullRef(), s.Head, a.request.Why())
	}
	err := a.write(func(r *messages.BuildRecord) error {
		if err := settle(r, a.request.BuildRef(), p); err != nil {
			return err
		}
		if r.State != messages.BuildStateSuperseded && a.job != nil {
			r.Head = a.job.sawOther()
		}
		if a.job != nil {
			a.job.noteChange(r)
			r.Took = messages.Duration(time.Since(a.began))
		}
		m, err := messages.Encode(a.w.q.c.Envelope(a.request.Build, a.traceparent()), p)
		if err != nil {
			return err
		}
		r.Outcome = &m
		return a.w.q.fit(r)
	})
	if err != nil {
		return fmt.Errorf("settling build %s: %w", a.request.Build, err)
	}
	a.count()
	return a.announce()
}

// settle writes into a record how the build ended.
func settle(r *messages.BuildRecord, ref messages.BuildRef, p messages.Payload) error {
	switch p := p.(type) {
	case *messages.ImageReady:
		p.BuildRef, p.Warnings = ref, briefFindings(p.Warnings)
		r.State, r.Image, r.Tag = messages.BuildStateSucceeded, p.Image, p.Tag
	case *messages.BuildFailed:
		p.BuildRef, p.Failure = ref, briefFailure(p.Failure)
		failure := p.Failure
		r.State, r.Failure = messages.BuildStateFailed, &failure
	case *messages.BuildSuperseded:
		if r.WantedBy != "" {
			return errWanted
		}
		p.BuildRef = ref
		r.State, r.Overtaken = messages.BuildStateSuperseded, p.Overtaken
		if messages.CheckCommit(p.Head) == nil && p.Head != r.Commit {
			r.Head, r.FollowedBy = p.Head, p.FollowedBy
		}
	case *messages.BuildCancelled:
		p.BuildRef = ref
		r.State, r.Cancelled = messages.BuildStateCancelled, whoSaid(p)
		if p.Unchanged != "" {
			if r.WantedBy != "" {
				return errWanted
			}
			r.State, r.Unchanged, r.Cancelled = messages.BuildStateUnchanged, p.Unchanged, ""
		}
	default:
		return queue.Permanent(fmt.Errorf("build %s returned %T, which ends no build", ref.Build, p))
	}
	return nil
}

// announce finishes an ended build: label, event, mark, acknowledgement. Where the event can't
// be sent, or the label not be put yet, the request comes again, and finds the record ended.
func (a *attempt) announce() error {
	if a.record.Outcome == nil && !a.record.Announced {
		return a.bury(fmt.Sprintf("the record of build %s says %s but keeps no outcome to announce: send the request again",
			a.request.Build, a.record.State))
	}
	err := a.label()
	if err == nil {
		ctx, span := a.w.Tracer.Start(a.d.Context(), a.traceparent(), "announce", tracing.Sending)
		err = a.d.Insist(func() error {
			return a.w.q.finish(ctx, queue.Entry[messages.BuildRecord]{
				Key: a.request.Build, Value: a.record, Revision: a.revision,
			})
		})
		span.End(err)
	}
	switch {
	case errors.Is(err, queue.ErrLeaseLost) || err != nil && !a.d.Alive():
		return queue.ErrLeaseLost
	case err != nil:
		a.w.Logger.Warn().Err(err).Str("build", a.request.Build).Msg("outcome not announced yet")
		return a.d.Return(queue.Backoff(a.w.RetryDelay, a.d.Deliveries))
	}
	return a.d.Done()
}

// label puts the label on a new image. A label is for people and the image is as good without:
// one that can't be put is given up, and said so, rather than keep the image from the fleet.
func (a *attempt) label() error {
	r := a.record
	if a.w.Tag == nil || r.Announced || r.State != messages.BuildStateSucceeded {
		return nil
	}
	ctx, span := a.w.Tracer.Start(a.d.Context(), a.traceparent(), "tag image", tracing.Image(r.Image))
	err := a.w.Tag(ctx, r)
	span.End(err)
	if err == nil || !a.d.Alive() {
		return err
	}
	// Deliveries since the last claim were of a record that had ended; or handed back unclaimed, and the label is
	// given up the sooner.
	if !queue.IsPermanent(err) && a.d.Deliveries-cmp.Or(r.Deliveries, r.Attempt)+1 < tagTries {
		return fmt.Errorf("tagging the image of build %s: %w", r.Build, err)
	}
	a.w.Logger.Error().Err(err).Str("build", r.Build).Str("image", string(r.Image)).Str("tag", r.Tag).Msg("image announced without its tag")
	(&Job{Request: a.request, Attempt: r.Attempt, d: a.d, q: a.w.q}).Log(messages.BuildLog{
		Text: fmt.Sprintf("%s could not be tagged %s and is announced without: %v", r.Image, r.Tag, err),
	})
	return nil
}

// finish announces an ended build whose outcome may not have been announced: the event, which
// exists once however often this is done, and the mark.
func (q *Queue) finish(ctx context.Context, e queue.Entry[messages.BuildRecord]) error {
	r := e.Value
	if r.Announced || r.Outcome == nil {
		return nil
	}
	// It is sent as it is: it may be of a version that only the worker who made it knows.
	subject := q.c.Space().BuildSubject(messages.TypeOf(*r.Outcome), r.Pipeline, r.Build)
	if _, err := q.c.PublishOnce(ctx, subject, *r.Outcome); err != nil {
		return err
	}
	r.Announced = true
	if _, err := q.records.Update(ctx, e.Key, r, e.Revision); err != nil && !errors.Is(err, queue.ErrMoved) {
		return err // when moved, somebody else has marked it
	}
	return nil
}
