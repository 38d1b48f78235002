package settings

import (
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// User is a user of NATS.
type User struct {
	Name string
	May  store.Permissions
}

// Users are the users that every installation has: people, and those roles of which one user is
// enough.
func Users(space messages.Space) []User {
	return []User{
		{UserOperator, store.OperatorPermissions(space, "_INBOX")},
		{UserProducer, store.ProducerPermissions(space, Inbox(UserProducer))},
		{UserBuilder, store.BuilderPermissions(space, Inbox(UserBuilder))},
		{UserController, store.ControllerPermissions(space, Inbox(UserController))},
	}
}
