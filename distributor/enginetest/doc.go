// Package enginetest has the suite that every distributor.Engine must pass, and an engine in
// memory for tests of what uses one.
//
// The files, in reading order:
//
//	conformance.go  Run: the suite, and the images that it needs
//	loads.go        its part about loads
//	trials.go       its part about trials
//	fake.go         Fake: the engine in memory
//	fakeimages.go   what the fake does with images
package enginetest
