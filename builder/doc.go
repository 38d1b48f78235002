// Package builder is the worker that turns build requests into checked, pinned images.
//
// For each request it makes sure that the commit is still wanted, has a Solver pin the base
// images, build and push by digest, and puts the gate of package hooks between build and
// push. What it answers is settled and announced by the queue; a build that infrastructure
// failed is tried again there, by another worker perhaps.
//
// An image gets one tag, a label for people: the first 12 digits of its commit, or the
// build's ID where the source was uploaded. There is no "latest": nothing should be started
// by a name that moves.
//
// The files, in reading order:
//
//	builder.go         takes builds from the queue, a slot each, and tags what they made: Config, New, Run
//	build.go           one attempt: the commit is still wanted, the image is built and checked
//	head.go            the branch's head is looked at, and what becomes of a build whose commit is another
//	yield.go           a build that runs ends when its branch is pushed to, where its pipeline says so
//	changed.go         whether anything has changed since the last image, where a build is only wanted then
//	outcome.go         how an attempt ends
//	solver.go          Solver: what builds must be able to do; package buildkit serves it, and package packages knows package managers
//	room.go            a build is stopped where the disk fills up
//	context.go         a build context that was uploaded is unpacked
//	contextfolders.go  its folder is locked, and removed if its builder was killed
package builder
