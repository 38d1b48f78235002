package tracing

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel/trace"
)

// A rollout lasts for days and outlives the controller that opened it. Its span is made when it is over, by
// whoever ends it; the ID is handed out when it is opened, so that what nodes do meanwhile hangs below it.

// reservedID is the key of a context's ID for the span that is begun next.
type reservedID struct{}

// ids makes the IDs of spans.
type ids struct{}

// NewIDs makes those of a new trace.
func (ids) NewIDs(context.Context) (t trace.TraceID, s trace.SpanID) {
	_, _ = rand.Read(t[:]) // never fails
	_, _ = rand.Read(s[:])
	return t, s
}

// NewSpanID is the one that ctx has reserved, or a new one.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (s trace.SpanID) {
	if reserved, ok := ctx.Value(reservedID{}).(trace.SpanID); ok {
		return reserved
	}
	_, _ = rand.Read(s[:])
	return s
}

// Reserve hands out the traceparent of a span below parent that is made later, by Over with AsReserved. A nil
// Tracer, which will make none, hands out parent.
func (t *Tracer) Reserve(parent string) string {
	above, ok := parse(parent)
	if t == nil || !ok {
		return parent
	}
	return format(above.WithSpanID(ids{}.NewSpanID(context.Background(), above.TraceID())))
}
