// Package invariants judges, from what NATS has stored, whether flips kept to what must always be
// true (docs/architecture.md): an image that a quorum of the members had reported present within
// their last three heartbeats, forward in order, past no hold. It knows none of the workers' code,
// and says what it could not see, in place of taking it for right.
//
// heartbeats.go keeps the heartbeats that were seen, and knows where some may be missing.
// flips.go judges the flips by them.
package invariants
