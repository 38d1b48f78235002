// Package confdis reaches the fence config where Stackato keeps it: in Redis on the primary node, port
// 7474, as one JSON document for each component, under a key that is named after the component. Whoever
// writes a document publishes on the channel COMPONENT:_changes, and clients read the document anew at any
// message there.
//
// The facts are those of Stackato's own clients and server configuration, in the repositories hpcloud/confdis
// (once ActiveState/confdis) and hpcloud/stackato-go at GitHub: the Go client sets the key and publishes
// "confdis", the Ruby client publishes "true", and whoever listens looks at neither; redis-server.conf has the
// port, and stackato-go reads the address from /s/etc/kato/redis_uri. The original reads, edits and sets in
// three steps, so that of two writers one is lost; this package does so under WATCH, MULTI and EXEC.
//
// The files, in reading order:
//
//	confdis.go      Config and Store: the setting, read, written and checked
//	address.go      where Redis is, from a URI or a file that holds one, and how it is trusted
//	connection.go   the client, made anew when the address changes
//	transaction.go  one write: nothing of what others write meanwhile is lost
//	causes.go       what Redis refused, and what mends it
package confdis
