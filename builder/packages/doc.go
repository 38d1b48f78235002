// Package packages asks the package manager of an image which packages have updates: what it is to run, and what it says. It runs
// nothing itself. What an image prints is written by whoever can change the image: it is bounded and made harmless here.
//
// The files, in reading order:
//
//	managers.go   the package managers, where they are in an image, and what they are asked by
//	updates.go    packages that have updates, for people
//	apt.go        what apt-get says
//	apk.go        what apk says
//	dnf.go        what dnf and yum say
package packages
