// Package kato reaches the fence config of a Stackato cluster by the cluster's own command, as its admin
// guide does: `kato config get` and `kato config set`, and nothing else. kato has no compare-and-set: all
// that write through this package on one host do so under a lock, and read back what they wrote. What
// people set by hand takes no lock.
//
// The files, in reading order:
//
//	kato.go      Config and Kato: the setting, read and written
//	document.go  what kato answers, of which package component reads the image
//	value.go     what is written: an image, or the list that it leads, which package component makes
//	command.go   one call of kato: bounded in time and output, ended with all that it started
//	user.go      as which user, and with which environment
//	lock.go      the lock of this host's writers
//	holder.go    who has it
//
// standin is a program that does what kato does, for tests and where there is no Stackato.
package kato
