// Package metrics is what each role tells Prometheus of itself. Every metric is declared here, once, with its
// name, labels and meaning: docs/metrics.md is made of that. A role is given the metrics of its kind, or nil, which
// counts nothing and costs nothing. What a role knows at any time is asked for when somebody scrapes, so that
// nothing is told that is not so any more: what can't be known is left out.
//
// No label has a value that outsiders choose or that grows in number with use: no node, build, commit or branch.
// Pipelines and fleets are labels up to a bound; see names.
//
// Files, in reading order:
//
//	declared.go     what a metric is declared with, and the page about all of them
//	registry.go     Registry: the metrics of one process, and /metrics
//	names.go        the bound on names in labels
//	process.go      what every role tells: whether it is ready, its build, certificates
//	nats.go         what every connection to NATS tells
//	producer.go     the producer's
//	builder.go      the builder's
//	controller.go   the controller's
//	fleets.go       what the acting controller knows of fleets and rollouts
//	storage.go      what the acting controller asks of the queue and of NATS's storage
//	distributor.go  the distributor's
//	statuses.go     of who tells forges
//	sinks.go        of who sends events to sinks
package metrics
