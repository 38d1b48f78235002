// Package standalone has the servers that `fenceline up` runs beside the roles, for one
// Linux machine: an embedded NATS server whose every write is synced, an embedded registry
// on disk, and buildkitd as a child. They keep what they know in one state folder, which one
// process uses at a time.
//
// Nothing here is a queue, a registry or a builder of our own: it starts, guards and stops
// those of others. The roles don't know whether their servers are these or outside ones.
//
// The files, in reading order:
//
//	stack.go          all servers start and end: Config, Start
//	state.go          the state folder, which one process uses at a time
//	secrets.go        the secrets and the clients' settings in it
//	writefile.go      its files are written whole
//	room.go           what is free on its disk, and who may take of it
//	nats.go           the NATS server
//	natsaccounts.go   who may do what there, and where an account's streams are
//	natshealth.go     whether it can store, and what is done where it can't
//	natspasswords.go  how it keeps passwords
//	registry.go       the registry
//	registryauth.go   its logins
//	registrydisk.go   what it does when the disk is full
//	registrylogs.go   its log
//	buildkitd.go      buildkitd as a child
//	buildnetwork.go   a network for its steps alone
//	networkplugin.go  and how each step joins it
//	buildlimits.go    what its steps may use
//	findprogram.go    finds it
//	leftbuildkitd.go  ends one that a killed process left
//	leftsteps.go      and its steps
//	mounts.go         and its mounts
//	errors.go         what can be wrong
package standalone
