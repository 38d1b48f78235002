// Package git asks remote repositories where their branches and tags are, what differs between two commits, which came first, and what a file has. It runs the git program,
// so that every transport, proxy and certificate setting that git knows works here too.
//
// head.go, refs.go, change.go, file.go and lag.go ask, credential.go says how a token is sent, trouble.go reads what git says where it fails,
// and errors.go has what can be wrong with the answer.
package git
