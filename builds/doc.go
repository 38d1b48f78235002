// Package builds is a build's life over the queue: from the request that is stored once, over the
// attempts of workers that hold it under a lease, to the one outcome that is announced, and to the
// day when its record goes.
//
// Three rules hold throughout. One write decides: a request, an outcome and a record are each settled
// by a single publish with an expected sequence, so that no crash lies between "seen" and "stored".
// A write whose answer was lost is read back and recognised by its random ID. Whoever is past its
// lease sends nothing at all, since a late acknowledgement counts against the worker that took over.
//
// Files, in reading order:
//
//	queue.go        Queue, the way to an installation's builds
//	request.go      Request: a push becomes one stored request
//	samebuild.go    whether an earlier request asked for the same, and what its build makes of the later one
//	stored.go       whether a request was stored, long after
//	headrequest.go  RequestHead: the head of a branch becomes one, unless it has a build
//	refs.go         the newest build of each branch and tag
//	builton.go      what a pipeline was built on last
//	rebuild.go      RequestAfter: a build is asked for again, unless something else was meanwhile
//	intake.go       requests that wait together are stored together
//	work.go         Work, Job, and the worker's loop
//	running.go      ends attempts that a person cancelled or another worker took over
//	attempt.go      one attempt: the claim, the build, what follows
//	traces.go       the spans of an attempt
//	heard.go        signs of life of the worker that has a build
//	outcome.go      how a build ended is written, labelled and announced
//	brief.go        bounds on what an outcome holds
//	logs.go         progress of builds
//	contexts.go     build contexts sent from a developer's machine
//	cancel.go       a person ends a build
//	retry.go        a person asks for a build again
//	queued.go       what was asked for and is not settled; what waits for a worker
//	backlog.go      how much waits, without a look at it
//	deadletters.go  messages that nobody could handle
//	sweep.go        finishes what a crash left behind
//	unfinished.go   which builds something is left to do for, without a look at all
//	follow.go       sees that a head which superseded a build is built
//	branch.go       what a worker can know of the branch that it builds
//	lastimage.go    what the newest image of that branch was made from
//	turn.go         pushes of a branch are built one after the other, where their pipeline says so
//	contextsweep.go which uploaded contexts go, and when
//	retention.go    which records go, and when
package builds
