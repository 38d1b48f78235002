// Package queuetest runs a real NATS server with JetStream inside a test.
//
// The files, in reading order:
//
//	queuetest.go  the server, its clients, and what tests of it wait for
//	users.go      a server with a user for each role
//	process.go    a server as a process of its own, which can be killed
//	proxy.go      a connection that can be held up and broken
//	output.go     a log that several goroutines write
package queuetest
