// Package buildkit solves builds with BuildKit: it pins every image source of a Dockerfile,
// builds, shows the result to the gate, and pushes it by digest.
//
// The files, in reading order:
//
//	solver.go            the connection to buildkitd: Config, New, Solve, Tag, Ready
//	run.go               one build over it
//	source.go            its context: the repository's files, fetched here
//	added.go             what the Dockerfile adds from elsewhere, and whether it may
//	pin.go               the image sources are pinned to digests
//	fixedbases.go        which of them the Dockerfile gives by digest
//	layers.go            what engines can't use of layers: too many, or zstd
//	lfs.go               pointers of Git LFS are refused
//	imagefiles.go        the built image's files, for the gate
//	updates.go           packages of a built image that have updates
//	progress.go          a log of what BuildKit tells, without secrets
//	failure.go           whose fault a failure is, and what mends it
//	gitfailure.go        the same of repositories that buildkitd clones
//	basefailure.go       the same of base images
//	stages.go            a misspelt stage, which BuildKit takes for one
//	pushfailure.go       the same of pushes
//	registry.go          images are tagged, and asked for
//	registryclient.go    the client for that
//	sessionlogins.go     registries' logins, and tokens of their token servers, for buildkitd
//	registrytrust.go     how registries are spoken to: authorities, plain HTTP
//	catalog.go           what a Dockerfile builds on now, without a buildkitd
//	buildkitdversion.go  a buildkitd that is too old is refused
package buildkit
