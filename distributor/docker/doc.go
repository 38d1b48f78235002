// Package docker serves the distributor with a Docker engine. It speaks API 1.40 and later.
//
// The files, in reading order:
//
//	engine.go      the engine's images, containers and disk: Config, New, Engine
//	pull.go        a pull, and how far it is
//	logins.go      the registries' logins that pulls give the engine
//	trial.go       a trial: a container per hook, as fence would start it
//	verdict.go     what the image did wrong, told from what the engine couldn't do
//	shell.go       the shell that runs a hook without a shebang
//	output.go      the last lines that a hook wrote
//	faults.go      what an error of the engine is about, and what to do
//	disk.go        free space, where a file system can be asked; disk_other.go where it can't
package docker
