// Package registries has what all who ask registries share: their logins, how a login becomes what a request shows, whom
// they may lead to, and the authorities of their certificates.
//
// The files, in reading order:
//
//	logins.go       Logins: the config.json of a folder, as docker login writes it
//	helper.go       the credential helpers that it names
//	authorizer.go   Authorizer: requests get the login, or the token that it is good for
//	way.go          Way: redirects and token servers that a registry names, by the rules of package reach
//	authorities.go  the authorities in a file
//	config.go       Config, NewSpeaker: how registries are spoken to by it
package registries
