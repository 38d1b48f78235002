// Package reach says which hosts may be reached when something is fetched that others name: the operator in the pipeline
// file, or strangers by what they commit (submodules, a Dockerfile) and by what their hosts answer.
//
// rules.go has the rules and asks them of an address, address.go judges IP addresses, host.go reads the hosts of URLs so
// that no other program can read them otherwise, dial.go asks the rules at the moment of dialing,
// outward.go has the transport to what the operator names, and follow.go sees where a URL leads.
package reach
