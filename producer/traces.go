package producer

import (
	"context"
	"net/http"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// begin begins the span of a request, and gives it the traceparent that what it asks for carries on.
func (n *note) begin(t *tracing.Tracer, r *http.Request, path string) context.Context {
	ctx, span := t.Start(r.Context(), r.Header.Get("traceparent"), r.Method+" "+path, tracing.Serving, tracing.HTTP(r.Method, path))
	n.span, n.traceparent = span, span.Traceparent()
	if t == nil { // the ID is in the log, the record and the answer all the same
		n.traceparent = messages.TraceOf(n.traceparent)
	}
	return ctx
}

// traced ends the span. One of a stranger is forgotten: strangers must not fill anybody's store of traces.
func (n *note) traced() {
	if !n.known {
		return
	}
	n.span.Say(tracing.Status(n.status))
	if n.call.Why != "" {
		n.span.Say(tracing.Text("why", n.call.Why))
	}
	var err error
	if n.status >= http.StatusInternalServerError {
		err = refuse(n.status, "%s", n.call.Why)
	}
	n.span.End(err)
}

// Error is the reason.
func (r *refusal) Error() string { return r.reason }

// traceID is the trace of a request, for answers and the log.
func (n *note) traceID() string { return messages.TraceID(n.traceparent) }

// tracedQueue has each request for a build on a trace: that of who asks, or one of its own.
type tracedQueue struct {
	Queue
	tracer *tracing.Tracer
}

// Request stores a request for a build.
func (q tracedQueue) Request(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
	return traceRequest(ctx, q.tracer, r, traceparent, q.Queue.Request)
}

// RequestHead stores one for a branch's head.
func (q tracedQueue) RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
	return traceRequest(ctx, q.tracer, r, traceparent, q.Queue.RequestHead)
}

// traceRequest has a request for a build stored, with the traceparent that the build goes on with.
func traceRequest(ctx context.Context, t *tracing.Tracer, r *messages.BuildRequested, traceparent string,
	store func(context.Context, *messages.BuildRequested, string) (builds.Accepted, error),
) (builds.Accepted, error) {
	ctx, span := t.Start(ctx, traceparent, "request build", tracing.Sending, tracing.Build(r), tracing.Message("send", "build requests", r.Build))
	span.Say(tracing.Text("reason", r.Why().String()))
	a, err := store(ctx, r, messages.TraceOf(span.Traceparent()))
	span.Say(tracing.Truth("duplicate", a.Duplicate), tracing.Count("order", int64(a.Order)))
	span.End(err)
	return a, err
}
