// Package sinks sends what happens to sinks: programs and chats that take events over HTTP. It follows the streams of events by
// asking for their messages, and keeps for each sink how far it has come, so that nothing waits for a sink, and a restart goes on
// where the last worker was. A sink that is away holds up no other one.
//
// An event is sent at least once. Those of a fleet are sent in order: the next one once the one before is delivered or given up.
// What a sink doesn't take for long becomes a dead letter. Of several workers one acts.
//
// Files, in reading order:
//
//	sinks.go     Config, New, Run: the worker
//	tail.go      how far the streams are
//	follow.go    one sink: what waits is read, sent, settled and written down
//	read.go      what is read of the streams, and what they have lost
//	line.go      what waits for a sink, and which of it is sent next
//	record.go    how far a sink is, as it is kept
//	outcome.go   what becomes of an event after a try
//	letters.go   events that are given up
//	forget.go    sinks that are no more
//	send.go      one try
//	answer.go    what a sink answers
//	files.go     the files of addresses, secrets and headers
//	transport.go connections to a sink
//	try.go       a sink is tried with a sample
//
// Package form, below, says what a sink is, and how events look.
package sinks
