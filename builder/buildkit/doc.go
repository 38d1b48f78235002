// Package buildkit solves builds with BuildKit: it pins every image source of a Dockerfile,
// builds, shows the result to the gate, and pushes it by digest.
//
// The files, in reading order:
//
//	solver.go            the connection to buildkitd: Config, New, Solve, Tag, Ready
//	run.go               one build over it
//	pin.go               the image sources are pinned to digests
//	imagefiles.go        the built image's files, for the gate
//	progress.go          a log of what BuildKit tells, without secrets
//	failure.go           whose fault a failure is, and what mends it
//	registry.go          images are tagged, and asked for
//	registrylogins.go    registries' logins
//	registrytrust.go     how registries are spoken to: authorities, plain HTTP
//	buildkitdversion.go  a buildkitd that is too old is refused
package buildkit
