// Package statuses tells forges what became of commits: the commit status that people see beside a commit. It follows
// the hints of the requests and events streams, by consumers that its workers share, and says what the records of
// builds and rollouts say then; so a status is never older than what was told before it. Nothing waits for it: a build
// or a rollout knows nothing of forges. Of several workers one acts.
//
// A hint is acknowledged once the forge knows what it led to, or something newer. Where the forge is away it comes
// again, or is written down, and then the newest status alone is told.
//
// Files, in reading order:
//
//	statuses.go  Config, New, Run: the worker
//	hints.go     messages after which something may have changed
//	owed.go      what a forge that is behind is to be told of
//	look.go      what is to be told of a build, by the records
//	state.go     the states of a commit, in words
//	forge.go     what waits for a forge, and when the forge is asked again
//	tell.go      a status is told, and what happens where it is not
//	problem.go   what keeps statuses from a forge, with the fix
//	drivers.go   how each forge is told
//	transport.go requests with a token, to one host
//	check.go     whether a forge could be told
//
// Package target, below, says where a pipeline's statuses go.
package statuses
