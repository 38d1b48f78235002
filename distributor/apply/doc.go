// Package apply writes the current image where a node's own software reads it, and runs a command after
// it. It is asked again and again: what is as it should be stays, and what a kill cut short is finished.
//
// The files, in reading order:
//
//	target.go    Config, and Target: what is written where, and run then
//	change.go    Apply: the file, then the command, once for each change
//	forms.go     the forms of a file: plain, JSON, a NAME=value line, a TOML key, a template
//	env.go       the line NAME=value of an environment file
//	toml.go      the value of a key in a TOML file
//	template.go  the operator's own form, and where its mistakes are
//	file.go      a file is read, and replaced as a whole
//	state.go     what was done, kept beside the file
//	command.go   the command runs, within its limit
//	orphan.go    a command that a killed distributor left running is ended
//	errors.go    what a setting has wrong
package apply
