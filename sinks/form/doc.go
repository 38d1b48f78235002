// Package form says what a sink is, and how an event looks that it is sent: which of what happens it gets, the sentence that
// people read, a CloudEvent or the JSON of a chat. It does no I/O.
//
// Files, in reading order:
//
//	sink.go       Sink: where events go, which, and in what form; what is wrong with one
//	types.go      the types of events that there are
//	event.go      Event: what a message tells
//	severity.go   how grave it is
//	sentence.go   the sentence that people read of it
//	cloudevent.go the event as a CloudEvent in JSON
//	template.go   the JSON that a template makes of it; the forms of chats are templates, the files *.tmpl
//	numbers.go    no number that a template could go over for ever
//	escape.go     text of others as chats show it, with nothing in it that they act on
//	samples.go    an event of each type, by which templates are checked
package form
