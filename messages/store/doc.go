// Package store is what an installation keeps in NATS: which streams and buckets there are, what
// is in each, who may write it, and the typed way to it.
//
// Files, in reading order:
//
//	layout.go       the streams and buckets, and their declaration
//	records.go      the records of builds, rollouts, fleets, members and nodes
//	fleets.go       a fleet's record as nodes follow it, and its announcement
//	fence.go        questions to the acting controller about a fence config
//	heartbeats.go   what a node stores of itself
//	consumers.go    the names under which workers share what they consume
//	triggers.go     whether producers can share what triggers lead to
//	announcement.go what an announced image is held against before anybody acts on it
//	newer.go        what waits for a newer version of this program
//	clock.go        the time of NATS
//	permissions.go  which subjects each role's user may use
//	accounts.go     the accounts that keep a server's answers to where their asker may write
package store
