// Package program runs the programs behind which fence configs live: each call without a terminal, bounded in
// what it may print, and ended with all that it started.
//
// The files, in reading order:
//
//	run.go     Run: one call, in a session that ends with it
//	printed.go what it prints, and the environment that it has
package program
