// Package packagedb reads which packages are installed from the databases of dpkg, apk and rpm, as they lie in an image. It
// reads bytes, and no more than they are worth: whatever a database says of itself, work and memory are bounded by its size.
//
// The files, in reading order:
//
//	package.go  Package, and what bounds a database
//	dpkg.go     /var/lib/dpkg/status, and the files of status.d
//	apk.go      /lib/apk/db/installed
//	rpm.go      RPM: which of three forms it is; the header of a package
//	sqlite.go   rpmdb.sqlite
//	ndb.go      Packages.db
//	bdb.go      Packages
package packagedb
