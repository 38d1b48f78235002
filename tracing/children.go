package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// ForLibrary is what a library makes its spans with: below those of the contexts that it is called with. A call
// without one, such as a look whether a server is there, makes no span, neither here nor at the server, which is
// told that the trace is not sampled. It is nil for a nil Tracer.
func (t *Tracer) ForLibrary() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return children{under: t.provider}
}

type children struct {
	embedded.TracerProvider
	under trace.TracerProvider
}

// Tracer makes the spans of one library.
func (c children) Tracer(name string, o ...trace.TracerOption) trace.Tracer {
	return childTracer{under: c.under.Tracer(name, o...)}
}

type childTracer struct {
	embedded.Tracer
	under trace.Tracer
}

// Start begins a span below that of ctx. Where ctx has none, the span is of a trace that nobody samples.
func (c childTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return c.under.Start(ctx, name, o...)
	}
	traceID, spanID := ids{}.NewIDs(ctx)
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID}))
	return ctx, trace.SpanFromContext(ctx)
}
