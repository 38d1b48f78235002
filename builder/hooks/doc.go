// Package hooks is the gate that a built image passes before it is pushed: it checks the
// admin hooks in the image, as the platform that runs them will.
//
// What it checks comes from Stackato's admin guide: hooks are plain bash or sh scripts with
// one of three names, executable by who runs them, in one folder of the image, and sudo works in them only
// for commands that the image's sudoers allows without a password.
//
// The files, in reading order:
//
//	check.go              the folder of hooks is gone through, and reported on: Check
//	image.go              where paths of the image lead, and what programs it has
//	account.go            who runs the hooks, and what that user may
//	script.go             what stands in one hook: its first line, its syntax
//	bashonly.go           what is for bash in a script for sh
//	needsperson.go        commands that wait for an answer which nobody gives
//	answered.go           settings with which those commands don't ask
//	credentials.go        what looks like a secret in it
//	exportedvariables.go  variables that it exports without setting them
//	sudocalls.go          its uses of sudo, held to what the image allows
//	sudoers.go            what the image allows, from its sudoers files
//	sudoersrules.go       the rules in them
package hooks
