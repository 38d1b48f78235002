// Package oidc signs people in by an OpenID Connect provider: authorization code flow with PKCE, state and nonce. Groups of the
// provider are roles of the console; a session holds as long as the provider's word does.
//
// The files, in reading order:
//
//   - config.go: what it is told, and what is wrong with that
//   - discovery.go: what the provider says of itself, looked up until it answers
//   - client.go: requests to the provider, bounded
//   - attempts.go: sign-ins that were begun and not ended yet
//   - signin.go: a sign-in begun and ended; why one is refused
//   - claims.go: what the provider says of a person: name, groups
//   - login.go: a person who is signed in, and whether the provider stands by it yet
package oidc
