// Package plan says what a push to a pipeline's branch would do, as things are now: from records, heartbeats, the
// repository and the registry. It reads, and writes nothing. What can't be read is said, and the rest all the same.
//
// The files, in reading order:
//
//	plan.go      Make: the whole of it
//	head.go      the branch's head, and whether it would be built
//	bases.go     what it builds on, now and when it was built last
//	fleets.go    what each fleet's nodes, policy and record have to say to it
//	fetch.go     what nodes would fetch, and whether they have the room
//	layers.go    the layers of images, as their registries have them
package plan
