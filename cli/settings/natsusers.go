package settings

import (
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// Accounts are the accounts of NATS that an installation has with the given nodes, and in them their
// users: people, those roles of which one user is enough, and a user for each node.
func Accounts(space messages.Space, nodes []store.User) []store.Account {
	return store.Accounts(space, store.Users{
		Deciders: []store.User{
			{Name: UserOperator, May: store.OperatorPermissions(space, "_INBOX")},
			{Name: UserController, May: store.ControllerPermissions(space, Inbox(UserController))},
			{Name: UserConsole, May: store.ConsolePermissions(space, Inbox(UserConsole))},
		},
		Producers: []store.User{{Name: UserProducer, May: store.ProducerPermissions(space, Inbox(UserProducer))}},
		Builders:  []store.User{{Name: UserBuilder, May: store.BuilderPermissions(space, Inbox(UserBuilder))}},
		Statuses:  []store.User{{Name: UserStatuses, May: store.StatusPermissions(space, Inbox(UserStatuses))}},
		Nodes:     nodes,
	})
}
