// Package standalone has the servers that `fenceline up` runs beside the roles, for one
// Linux machine: an embedded NATS server whose every write is synced, an embedded registry
// on disk, and buildkitd as a child. They keep what they know in one state folder, which one
// process uses at a time.
//
// Nothing here is a queue, a registry or a builder of our own: it starts, guards and stops
// those of others. The roles don't know whether their servers are these or outside ones.
package standalone
