// Package fencetest is the conformance suite of fence.Backend. Every backend runs it.
//
// The files, in reading order:
//
//	fencetest.go  Store, what a kind of backend is tried on; Run; reading, writing, conflicts, the history
//	strangers.go  what others do to the setting, and values that are none
//	faults.go     a store that is away, hangs, or whose answer is lost
package fencetest
