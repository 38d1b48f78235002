// Package hooks is the gate that a built image passes before it is pushed: it checks the
// admin hooks in the image, as the platform that runs them will.
//
// What it checks comes from Stackato's admin guide: hooks are plain bash or sh scripts with
// one of three names, executable, in one folder of the image, and sudo works in them only
// for commands that the image's sudoers allows without a password.
//
// check.go goes through the folder of hooks and reports; script.go looks at what stands in one hook.
// credentials.go finds what looks like a secret in it, exportedvariables.go what it exports without
// setting it, and sudocalls.go its uses of sudo, which are held to what the image allows:
// sudoers.go reads that, and sudoersrules.go its rules.
package hooks
