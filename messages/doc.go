// Package messages is the contract between fenceline's roles: the types that travel,
// the subjects they travel on, the streams and buckets that keep them, and how they are
// encoded and decoded.
//
// Every message is a CloudEvent 1.0 in binary content mode: attributes in ce-* headers,
// JSON in the body, the W3C traceparent beside them. A type carries its version
// (dev.fenceline.build.requested.v1) and so does its subject, so that an older worker
// leaves a newer message to a newer worker. A reader ignores fields that it doesn't know.
//
// Messages are self-contained: a build request carries the resolved pipeline and an
// image-ready event the rollout policies. Secrets travel as names, never as values.
//
// The package imports the standard library only. Its files, in reading order:
//
//	message.go     what every message has: Envelope, Payload, Encode and Decode
//	types.go       the types, their versions, and the one list of what is read
//	subjects.go    subjects, streams, buckets and keys of an installation: Space
//	pipeline.go    a resolved pipeline and the fleets it feeds
//	submodules.go  which submodules of a repository are fetched
//	policy.go      how an image passes through a fleet
//	pull.go        how nodes fetch images: the ways, the mirrors
//	preloadfrom.go the repositories that nodes may fetch from
//	request.go     a build is asked for, also in a newer version than this program's
//	keyedcall.go   a call that comes again is known
//	reason.go      what led to a build, and what caused that
//	schedule.go    what producers share of a schedule
//	refusedfile.go why a producer can't use its pipeline file
//	poll.go        what was seen last of a repository that is polled
//	baselook.go    what was seen last of a base image at its registry
//	build.go       what happens to a build: its events, failure and record; the image that is ready
//	buildbeat.go   the sign of life of who builds
//	buildlog.go    a build's progress, and the steps that people watch
//	rollout.go     an image's passage through one fleet: its states, record and event
//	fleet.go       a fleet's record, the only point of decision, and its announcement
//	fence.go       where a fence config can live; a person's question to the acting controller, and its answer
//	waves.go       which nodes a wave admits
//	forgestatus.go what a forge was told of a commit, and why it was not
//	node.go        members and heartbeats; what a node does, fails at and finds out
//	audit.go       who asked for what, and what became of it
//	decision.go    what a person asked for and why, carried out or refused
//	sink.go        how far a sink has been sent what happens; an event that it is sent again
//	deadletter.go  a message that nobody could handle
//	names.go       names, IDs, commits and secrets' names, and what they may be
//	image.go       images by name and digest
//	localname.go   images by the names that nodes give them, and the form that a fence config takes
//	repository.go  repositories, branches and paths that a builder may use
//	patterns.go    patterns of branches, tags and paths
//	trace.go       traceparents
//	percent.go     attributes as headers carry them
//	text.go        texts that others wrote, shortened
//	duration.go    durations as people write them
//	secret.go      a value that prints as nothing
//	secretfile.go  secrets in files
package messages
