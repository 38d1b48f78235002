// Package fence is the fence config of a fleet: the fleet-wide setting that names the image
// for new app containers. It has one interface for the places where that setting can live;
// each is served by a package below this one.
//
// The files, in reading order:
//
//	fence.go  Backend, the interface, and what more a backend may know
//	value.go  what may stand in a fence config
package fence
