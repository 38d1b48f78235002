package queuetest

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
)

// Guarded is a server with a user for each role, three nodes, and "admin", who may do anything where
// the streams are.
func Guarded(t testing.TB, change ...func(*server.Options)) (s *Server, as func(user string) *queue.Client) {
	t.Helper()
	s = Start(t, append([]func(*server.Options){func(o *server.Options) { Guard(t, o) }}, change...)...)
	return s, func(user string) *queue.Client {
		return s.Connect(t, Credentials(user))
	}
}

// Guard gives a server the accounts and users of Guarded, and more nodes.
func Guard(t testing.TB, o *server.Options, more ...store.User) {
	t.Helper()
	var parsed server.Options
	Must(t, parsed.ProcessConfigString(GuardConfig(t, more...)))
	o.Accounts, o.Users = parsed.Accounts, parsed.Users
}

// GuardConfig is the part of a server's configuration that has the accounts and users of Guarded, and more
// nodes.
func GuardConfig(t testing.TB, more ...store.User) string {
	t.Helper()
	var space messages.Space
	node := func(name, fleet, node string) store.User {
		return store.User{Name: name, May: store.NodePermissions(space, fleet, node, "_INBOX_"+name)}
	}
	accounts := store.Accounts(space, store.Users{
		Deciders: []store.User{
			{Name: "admin", May: store.Permissions{Publish: []string{">"}, Subscribe: []string{">"}}},
			{Name: "operator", May: store.OperatorPermissions(space, "_INBOX_operator")},
			{Name: "controller", May: store.ControllerPermissions(space, "_INBOX_controller")},
			{Name: "console", May: store.ConsolePermissions(space, "_INBOX_console")},
		},
		Producers: []store.User{{Name: "producer", May: store.ProducerPermissions(space, "_INBOX_producer")}},
		Builders:  []store.User{{Name: "builder", May: store.BuilderPermissions(space, "_INBOX_builder")}},
		Statuses:  []store.User{{Name: "statuses", May: store.StatusPermissions(space, "_INBOX_statuses")}},
		Nodes:     append(more, node("n1", "production", "n1"), node("n2", "staging", "n2"), node("n3", "production", "n3")),
	})
	conf, err := store.AccountsConfig(accounts, func(string) (string, error) { return "secret", nil })
	Must(t, err)
	return conf
}

// Credentials are a user's of Guarded.
func Credentials(user string) func(*queue.Options) {
	return func(o *queue.Options) {
		o.User, o.Password, o.InboxPrefix = user, messages.NewSecret("secret"), "_INBOX_"+user
	}
}
