// Package exec reaches a fence config by an operator's two commands, so that it can live in any store that
// has a command of its own. docs/fence-backends.md has the contract:
//
//   - the get command prints the value on one line, and nothing where none is set;
//   - the set command gets the value and what get printed before as its last two words. It sets the value
//     if that is still what is set, and ends with status 75 where it isn't.
//
// The files, in reading order:
//
//	exec.go     Config and Command: the setting, read and set
//	words.go    a command line as it is given becomes words; {fleet} in it
//	program.go  one call: bounded in time and output, ended with all that it started
package exec
