// Package tracing makes OpenTelemetry spans of the work of roles, so that one trace leads from a webhook to
// each canary, and sends them where the standard OTEL_… variables say. Without these there is no exporter and no
// goroutine, and a traceparent passes on as it came. To be read in this order:
//
//	environment.go  a Tracer by the OTEL_… variables
//	values.go       what else these may say, and what they may not
//	span.go         spans: of a traceparent, of a context, of what is over
//	ids.go          spans whose ID was handed out before they are made
//	children.go     a provider for libraries, which begins no trace
//	attributes.go   what spans say, by OpenTelemetry's semantic conventions
//	log.go          the trace's ID in the log, and what goes wrong with sending
//
// The roles know traces by their traceparent (W3C Trace Context), which messages carry. Only this package
// knows OpenTelemetry.
package tracing
