package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is a piece of work. The zero value is one that nobody traces.
type Span struct {
	span   trace.Span
	parent string // what it passes on where it is not traced
}

// Option is what is known of a span when it begins.
type Option func(*beginning)

type beginning struct {
	options  []trace.SpanStartOption
	reserved string
}

func with(o trace.SpanStartOption) Option {
	return func(b *beginning) { b.options = append(b.options, o) }
}

// Saying has a span say attributes.
func Saying(all ...Attribute) Option { return with(trace.WithAttributes(all...)) }

// Since has a span begin at an earlier time. The zero time is now.
func Since(at time.Time) Option {
	if at.IsZero() {
		return func(*beginning) {}
	}
	return with(trace.WithTimestamp(at))
}

// The kinds of spans at which a trace crosses from one process into another.
var (
	Serving   = with(trace.WithSpanKind(trace.SpanKindServer))
	Sending   = with(trace.WithSpanKind(trace.SpanKindProducer))
	Consuming = with(trace.WithSpanKind(trace.SpanKindConsumer))
	Calling   = with(trace.WithSpanKind(trace.SpanKindClient))
)

// AsReserved gives a span the ID that Reserve handed out.
func AsReserved(traceparent string) Option {
	return func(b *beginning) { b.reserved = traceparent }
}

func begin(ctx context.Context, t trace.Tracer, name string, all []Option) (context.Context, *Span) {
	var b beginning
	for _, o := range all {
		o(&b)
	}
	under := ctx
	if own, ok := parse(b.reserved); ok {
		under = context.WithValue(ctx, reservedID{}, own.SpanID())
	}
	_, s := t.Start(under, name, b.options...)
	return trace.ContextWithSpan(ctx, s), &Span{span: s}
}

// Start begins a span below the one of a traceparent, or of a new trace where that is "" or not valid. What is done
// within the context that it returns hangs below it. It is to be ended.
func (t *Tracer) Start(ctx context.Context, parent, name string, all ...Option) (context.Context, *Span) {
	if t == nil {
		return ctx, &Span{parent: parent}
	}
	above, _ := parse(parent)
	return begin(trace.ContextWithRemoteSpanContext(ctx, above), t.tracer, name, all)
}

// Start begins a span below that of ctx, or none where ctx has none.
func Start(ctx context.Context, name string, all ...Option) (context.Context, *Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return ctx, &Span{}
	}
	return begin(ctx, above.TracerProvider().Tracer(scope), name, all)
}

// Untraced is ctx without its span, for what is not worth one.
func Untraced(ctx context.Context) context.Context {
	return trace.ContextWithSpan(ctx, nil)
}

// Over makes a span below that of a traceparent, of what has ended: at until, which may be zero for now.
// It makes none where parent is not valid: what is over begins no trace.
func (t *Tracer) Over(parent, name string, from, until time.Time, err error, all ...Option) {
	if _, ok := parse(parent); t == nil || !ok {
		return
	}
	_, s := t.Start(context.Background(), parent, name, append(all, Since(from))...)
	s.fail(err)
	if until.IsZero() {
		until = time.Now()
	}
	if until.Before(from) { // of another machine's clock
		until = from
	}
	s.span.End(trace.WithTimestamp(until))
}

// Say adds attributes.
func (s *Span) Say(all ...Attribute) {
	if s.span != nil {
		s.span.SetAttributes(all...)
	}
}

// Note notes that something happened within the span, now.
func (s *Span) Note(what string, all ...Attribute) {
	if s.span != nil {
		s.span.AddEvent(what, trace.WithAttributes(all...))
	}
}

// End ends the span, as failed where err is not nil.
func (s *Span) End(err error) {
	if s.span != nil {
		s.fail(err)
		s.span.End()
	}
}

func (s *Span) fail(err error) {
	if err != nil && s.span != nil {
		s.span.SetStatus(codes.Error, safe(err.Error()))
	}
}

// Traceparent is the span's, to be passed on. One that nobody traces passes on its parent's; "" where it has none.
func (s *Span) Traceparent() string {
	if s.span == nil {
		return s.parent
	}
	return format(s.span.SpanContext())
}

// Attribute is something that a span says. Package tracing makes them, so that they are named and bounded alike.
type Attribute = attribute.KeyValue

func parse(traceparent string) (trace.SpanContext, bool) {
	if traceparent == "" {
		return trace.SpanContext{}, false
	}
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	s := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	return s, s.IsValid()
}

func format(s trace.SpanContext) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), s), carrier)
	return carrier.Get("traceparent")
}
