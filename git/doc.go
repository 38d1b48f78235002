// Package git asks remote repositories where their branches and tags are, what differs between two commits, which came first, and what a file has. It runs the git program,
// so that every transport, proxy and certificate setting that git knows works here too.
//
// head.go, refs.go (sorted by versions.go), change.go, file.go and lag.go ask, checkout.go and submodules.go fetch a commit's files, way.go keeps git to the addresses that may
// be reached, run.go runs it, credential.go says how a token is sent, trouble.go reads what git says where it fails, and
// errors.go has what can be wrong with the answer.
package git
