// Package diagnosis says why a client does not come to a NATS server, and what mends it. Its
// errors name fields of Way, never flags: whoever has flags knows which one sets which field.
//
// Files, in reading order:
//
//	diagnosis.go   Way, Explain: what a failed connection means
//	files.go       Check: the files that a connection needs, read before it is tried
//	refusal.go     a server that refuses the user, or has no room for a connection
//	tls.go         a TLS handshake that failed
//	clientcert.go  the client's own certificate and key
//	validity.go    what is out of date
package diagnosis
