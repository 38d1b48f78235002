// Package hooks is the gate that a built image passes before it is pushed: it checks the
// admin hooks in the image, as the platform that runs them will.
//
// What it checks comes from Stackato's admin guide: hooks are plain bash or sh scripts with
// one of three names, executable, in one folder of the image, and sudo works in them only
// for commands that the image's sudoers allows without a password.
//
// The files, in reading order:
//
//	check.go              the folder of hooks is gone through, and reported on: Check
//	script.go             what stands in one hook: its first line, its syntax
//	credentials.go        what looks like a secret in it
//	exportedvariables.go  variables that it exports without setting them
//	sudocalls.go          its uses of sudo, held to what the image allows
//	sudoers.go            what the image allows, from its sudoers files
//	sudoersrules.go       the rules in them
package hooks
