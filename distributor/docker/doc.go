// Package docker serves the distributor with a Docker engine. It speaks API 1.12 and later.
//
// The files, in reading order:
//
//	engine.go      the engine, its containers and events: Config, New, Engine
//	images.go      its images: their names, whether they are whole
//	store.go       where it keeps them, and the free space there
//	room.go        what a pull would take of the disks
//	manifest.go    what a registry says of an image's layers
//	pull.go        a pull, and how far it is
//	load.go        the engine is fed with what it lacks of an image
//	learn.go       an engine that was fed learns an image's digest
//	parts.go       what an image is made of, and what of it the engine has
//	logins.go      the registries' logins that pulls give the engine
//	trial.go       a trial: a container per hook, as fence would start it
//	look.go        what the image says of how its hooks run: user, shells
//	verdict.go     what the image did wrong, told from what the engine couldn't do
//	control.go     whether the engine can do with another image what it can't do with this one
//	shell.go       the shell that runs a hook without a shebang
//	output.go      the last lines that a hook wrote
//	faults.go      what an error of the engine is about, and what to do
//	notes.go       notes of agents, kept as volumes
//	oldapi.go      the gate to engines whose API the client doesn't speak: versions, and what is translated
//	oldimages.go   what those say of themselves and of images
//	oldcontainers.go  their containers, which may have no labels
//	oldfiles.go    files in their containers
//	oldevents.go   their events
//	oldnotes.go    notes where there are no volumes with labels
//	legacy.go      how engines before Docker 1.10 keep images, and what they are fed with
//	disk.go        free space, where a file system can be asked; disk_other.go where it can't
package docker
