// Package redistest runs real Redis servers for tests and measurements, as Stackato keeps its own: with an
// append-only file and without a password, unless it is asked for one. They sync each write before they answer,
// as a write that Redis has answered can be lost otherwise when it is killed.
//
// The files, in reading order:
//
//	redistest.go  Server: started, stopped, started again
//	watch.go      what a client of Stackato reads
//	proxy.go      Proxy, which loses an answer
package redistest
