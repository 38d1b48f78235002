// Package controller is the role the controller: the loop that passes images through fleets.
// What to do next is decided in package decide, and what people ask for is in package people.
//
// Any number of controllers may run. Each opens rollouts from the events. The one that holds
// the lease, the acting one, advances them and drives the fence configs.
//
// A fleet's record is the only point of decision about the fleet. Controllers and people
// change it by compare-and-set alone, so that of two decisions the later one sees the
// earlier. A controller keeps nothing that the records and heartbeats don't say: it decides
// anew before each write, so that its successor goes on after a crash between any two.
//
// The files, in reading order:
//
//	controller.go  what a controller needs, and its loops side by side: Config, New, Run, Ready
//	events.go      which event makes a controller do what; an image that is ready opens rollouts
//	bases.go       a build's pinned bases are preloaded while it runs
//	acting.go      what the acting controller does: an actor per fleet, and old rollouts dropped
//	fleet.go       one pass over a fleet: new members, decisions until none is left, the fence config
//	retired.go     who of those that rollouts count was retired unseen
//	silence.go     members' records say for people who is silent
//	write.go       one step is written, if what it rests on has not moved, and told
//	traces.go      spans of rollouts, decisions and flips
//	fenceconfig.go the fence config is read, compared with the record, written and read back
//	fenceowner.go  a place that has one setting is one fleet's alone
//	fencejournal.go  what a fence config was, for a store that does not remember
//	fencequestions.go  people read and set fence configs through the acting controller
//	views.go       what the watches have seen of records and heartbeats, as a decide.State
//	told.go        what metrics are told of fleets and decisions
//	heartbeats.go  how long a heartbeat counts, and two nodes with one name
//	retention.go   old rollouts are forgotten
//	redeclare.go   streams and buckets are made anew where a server lost them
package controller
