// Package target says where a pipeline's commit statuses go: the forge, its address, the repository, the name of the
// status. It does no I/O.
//
// Files, in reading order:
//
//	target.go  Target, and what is wrong with one
//	forges.go  the forges: where their APIs are, and how much text they take
//	text.go    text as a forge takes it
package target
