// Package pki writes the keys that an installation begins with: certificates, the users of its NATS,
// and the logins of its registry. To be read in this order:
//
//   - files.go: all that is written into one folder
//   - natsusers.go: the users of NATS, what each may do, and their passwords
//   - certificates.go: the certificate authority, and the certificates of servers
//   - registrylogins.go: the registry's users, and the logins of builders and nodes
package pki
