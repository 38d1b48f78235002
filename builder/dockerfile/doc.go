// Package dockerfile says what is wrong with a Dockerfile before anything is built from it: what the
// builder always refuses, in the builder's own words, and what can't work where nobody looks on.
//
// The files, in reading order:
//
//	check.go     a Dockerfile is gone through: Check
//	refused.go   what builds don't get: rights, keys, secrets, other frontends
//	stages.go    names of stages that were meant to be others
//	users.go     users that nothing makes
//	steps.go     what RUN steps do that needs a person
//	lineends.go  Windows line ends, where they end up in commands and files
package dockerfile
