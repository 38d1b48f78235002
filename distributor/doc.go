// Package distributor is the agent on a node: it keeps the node's container engine in line
// with its fleet's record. It pulls images by digest, keeps them under local tags, proves
// that they are present, tries them where the node is a canary, reports all of it in
// heartbeats, and removes what the fleet no longer wants.
//
// State is read, events are hints: whatever woke the agent, it reads the record and the
// engine and takes the next step from what is there.
//
// The files, in reading order:
//
//	agent.go        what an agent is and works with, and its loops side by side: Config, New, Run
//	engine.go       Engine: what a container engine must be able to do; package docker serves it
//	errors.go       what an engine's error can be about
//	record.go       the fleet's record is followed: as announced, and as read by a timer
//	wants.go        which images the record wants on this node, the most urgent first
//	work.go         one step after the other towards what is wanted
//	job.go          a pull or a trial under way, given up when the record no longer wants it
//	notes.go        what agents keep with the engine for those that come after them
//	pull.go         an image is pulled, tagged and checked
//	pullway.go      in which way this node fetches, and how mirrors fail
//	learn.go        an engine that was fed asks for the digest of the image
//	disk.go         whether there is room for any pull, and how one ran out of it
//	layers.go       what is fetched of an image beside those that are there
//	room.go         whether there is room for an image, by its manifest
//	localtag.go     which image a tag that keeps it from a prune is of
//	trial.go        a canary tries an image
//	applying.go     the current image is made the one that the node's own software reads; package apply writes it
//	traces.go       spans, and the trace of the rollout that brought an image
//	ledger.go       what agents brought to the engine, when and why
//	cleanup.go      what no record wants is removed
//	abandoned.go    whether anybody still works for what others left
//	progress.go     how far a pull is, and its rate
//	retry.go        what failed, and when it is tried again
//	report.go       how far the node is with the preload, and what failed
//	events.go       events wait until the queue takes them
//	interval.go     whether heartbeats are kept for long enough
//	told.go         what metrics are told of the node
//	beat.go         heartbeats are sent, and another agent of this name is noticed
//	status.go       what a heartbeat says: asked of the engine each time
//	enginewatch.go  the engine answers, fails, or changes by itself
package distributor
