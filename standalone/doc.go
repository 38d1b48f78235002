// Package standalone has the servers that `fenceline up` runs beside the roles, for one
// Linux machine: an embedded NATS server whose every write is synced, an embedded registry
// on disk, and buildkitd as a child. They keep what they know in one state folder, which one
// process uses at a time.
//
// Nothing here is a queue, a registry or a builder of our own: it starts, guards and stops
// those of others. The roles don't know whether their servers are these or outside ones.
//
// stack.go starts and ends all servers. state.go has the state folder, secrets.go the secrets and
// the clients' settings in it, and writefile.go how its files are written.
// nats.go is the NATS server, with natshealth.go and natspasswords.go. registry.go is the registry, with
// registryauth.go, registrydisk.go and registrylogs.go. buildkitd.go runs buildkitd, which
// findprogram.go finds; leftbuildkitd.go, leftsteps.go and mounts.go end what a killed one left.
// errors.go has what can be wrong.
package standalone
