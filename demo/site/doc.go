// Package site is what surrounds a fenceline in a demonstration or a black-box test: git
// repositories that tell it of pushes, base images, child programs, and the command line as
// its only handle. Nothing here imports fenceline's roles.
//
// process.go starts and ends programs, and wait.go waits for them. fenceline.go runs the commands of
// fenceline and reads what it watches. git.go serves repositories, and webhook.go tells of pushes.
// baseimage.go pushes a base, and imagelayers.go compares images.
package site
