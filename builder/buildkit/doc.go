// Package buildkit solves builds with BuildKit: it pins every image source of a Dockerfile,
// builds, shows the result to the gate, and pushes it by digest.
//
// solver.go has the connection to buildkitd, and run.go does one build over it: pin.go pins the
// image sources, imagefiles.go shows the built image's files, progress.go makes a log of what
// BuildKit tells, without secrets, and failure.go says whose fault a failure is and what mends it.
// registry.go tags images and asks whether they exist, with registrylogins.go and registrytrust.go.
// buildkitdversion.go refuses a buildkitd that is too old.
package buildkit
