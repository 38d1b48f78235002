// What Docker 1.3.3 is built from, for tests of engines as old as Stackato's: scripts/oldengine puts it together, as it
// is from before modules.
module github.com/fenceline/fenceline/tools/oldengine

go 1.26.8

require (
	github.com/coreos/go-systemd v0.0.0-20190719114852-fd7a80b32e1f
	github.com/docker/docker v1.3.3
	github.com/docker/libcontainer v1.2.0
	github.com/docker/libtrust v0.0.0-20150526203908-9cbd2a1374f4
	github.com/gorilla/context v1.1.1
	github.com/gorilla/mux v1.4.0
	github.com/kr/pty v1.1.1
	github.com/mattn/go-sqlite3 v1.14.22
	github.com/syndtr/gocapability v0.0.0-20200815063812-42c35b437635
	github.com/tchap/go-patricia v1.0.1
)
