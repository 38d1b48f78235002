// Package queue carries package messages over NATS JetStream: it declares the streams and
// buckets, accepts build requests, publishes and reads events, keeps records that change
// by revision only, and runs the loop in which builders claim, hold and end builds.
//
// Three rules hold throughout. One write decides: a request, an outcome and a record are
// each settled by a single publish with an expected sequence, so that no crash lies between
// "seen" and "stored". A write whose answer was lost is read back and recognised by its
// random ID. Whoever is past its lease sends nothing at all, since a late acknowledgement
// counts against the worker that took over.
package queue
