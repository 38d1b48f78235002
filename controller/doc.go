// Package controller is the role the controller: it owns the passage of images through fleets.
//
// Any number of controllers may run. Each opens rollouts from the events; the one that
// holds the lease, the acting one, advances them and drives the fence configs.
//
// A fleet's record is the only point of decision about the fleet. Controllers and people
// change it by compare-and-set alone, so that of two decisions the later one sees the
// earlier. What a controller does next follows from the records and the nodes' heartbeats
// each time anew (see next), one write at a time: after a crash between any two writes
// the successor goes on from the records.
package controller
