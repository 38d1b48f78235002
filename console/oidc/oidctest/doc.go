// Package oidctest is a real OpenID Connect provider in process, for tests: the certified one of github.com/zitadel/oidc, with
// people whom a test makes.
//
// The files, in reading order:
//
//   - provider.go: the provider, its people, and what may go wrong with it
//   - store.go: what the provider keeps: people's claims, the client, keys
package oidctest
