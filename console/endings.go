package console

import "github.com/fenceline/fenceline/console/oidc"

// Ending is why a session has ended, by a word that an address can have; "" while it hasn't.
type Ending string

// The endings that the console knows by itself. Those of package oidc come besides.
const (
	endedByTime       Ending = "time"
	endedByRevocation Ending = "revoked"
	endedHere         Ending = "here" // the person has signed out
)

// says is why a session has ended, to the person; "" where nothing is to be said.
func (c *Console) says(e Ending) string {
	name := "The provider"
	if c.oidc != nil {
		name = c.oidc.Name()
	}
	switch e {
	case endedByTime:
		return "Your session was as long as sessions are."
	case endedByRevocation:
		return "Your token has been revoked."
	case Ending(oidc.Expired):
		return name + " signed you in for so long, and gave nothing to renew it by."
	case Ending(oidc.Refused):
		return name + " doesn't stand by it any more that you may be signed in."
	case Ending(oidc.Changed):
		return "Your name, or your groups, have changed at " + name + ": who signs in again gets the role of their groups."
	case Ending(oidc.Unconfirmed):
		return name + " could not be reached, and was not there to say that you may stay."
	}
	return ""
}
