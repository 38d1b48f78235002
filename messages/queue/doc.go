// Package queue is the transport over NATS JetStream: it connects, declares streams, publishes,
// delivers messages under a lease and keeps records that change by revision. It knows messages, but
// not what they are for: package store says what an installation keeps, package builds what happens
// to a build. Nothing of the NATS client library passes through its interface.
//
// Three rules hold throughout. One write decides: it passes only at an expected sequence, so that
// no crash lies between "seen" and "stored". A write whose answer was lost is read back and
// recognised by its random ID. Whoever is past its lease sends nothing at all, since a late
// acknowledgement counts against the worker that took over.
//
// Files, in reading order:
//
//	client.go          Connect, Client: a connection that comes back by itself
//	outage.go          why a connection does not work, as it is logged and told
//	denied.go          brings the server's refusals to the operations that they refuse
//	errors.go          the classes of errors that callers act on
//	declare.go         Stream, Declare: streams that have to be there
//	streamsettings.go  which settings of an existing stream can't stay
//	storage.go         too little room for streams
//	streams.go         what a stream says of itself; purging
//	publish.go         Publish, PublishOnce, Store: a message is stored when they return
//	batch.go           StoreBatch: all of some messages or none
//	lossy.go           PublishLossy: messages that may be lost, for logs
//	hints.go           Hint, HearHints: messages that nobody stores
//	questions.go       Question: one is put to whoever listens, and the answer waited for
//	read.go            Read, Last: messages as a stream keeps them
//	place.go           where a reader goes on after an interruption
//	tail.go            where the last messages of a subject begin
//	session.go         one pass over a stream, from its start to the first trouble
//	asking.go          the same for who may make no consumers
//	records.go         Records: a bucket whose entries change by revision
//	newerfields.go     what a newer version has in records stays in them
//	watch.go           lists, histories and changes of records
//	recent.go          records in the order of their last write
//	expiry.go          tells entries that the server dropped without a word
//	objects.go         an object store
//	objectreader.go    reads what is in it
//	objectwriter.go    stores an object piece by piece
//	objectlist.go      lists and removes objects
//	consume.go         Shared, Consume: one message at a time, for one of those who share a name
//	slot.go            one message at a time over several consumers
//	delivery.go        Delivery: a message while this client may act on it
//	backlog.go         what waits for those who share a consumer
//	events.go          ConsumeEvents: a handler's errors become acknowledgements
//	lease.go           Lease: of several clients one acts
//	turns.go           Turns: work that begins anew with what is another
//	observed.go        how requests and the connection go, for who counts
//
// Package diagnosis, below, says why a connection fails and what mends it.
package queue
