package builds

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// trace begins the span of an attempt, beside that of the time for which nobody had the build.
func (a *attempt) trace(ctx context.Context) context.Context {
	about := tracing.Build(a.request)
	if !a.waited.IsZero() {
		a.w.Tracer.Over(a.envelope.Traceparent, "queued", a.waited, time.Now(), nil, about)
	}
	ctx, a.span = a.w.Tracer.Start(ctx, a.envelope.Traceparent, "build", tracing.Consuming, about,
		tracing.Message("process", a.w.q.c.Space().RequestsStream(), a.request.Build),
		tracing.Saying(tracing.Worker(a.w.Worker), tracing.Count("attempt", int64(a.record.Attempt)), tracing.Count("order", int64(a.request.Order))))
	return ctx
}

// traced ends the span of an attempt by what the record says of it, or by what kept it from being written.
func (a *attempt) traced(err error) {
	r := &a.record
	a.span.Say(tracing.Result(string(r.State)))
	if r.Image != "" {
		a.span.Say(tracing.Images(r.Image)...)
	}
	switch {
	case err != nil:
	case r.State == messages.BuildStateFailed && r.Failure != nil:
		a.span.Say(tracing.Text("failure.class", string(r.Failure.Class)))
		err = errors.New(r.Failure.Reason)
	case r.Waiting:
		err = errors.New(r.LastError)
	}
	a.span.End(err)
}

// traceparent is what the attempt's messages carry on: that of its span, or before it has one that of the request.
func (a *attempt) traceparent() string {
	if a.span == nil {
		return a.envelope.Traceparent
	}
	return cmp.Or(a.span.Traceparent(), a.envelope.Traceparent)
}
