package queuetest

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
)

// Guarded is a server with a user for each role, two nodes, and "admin", who may do anything.
func Guarded(t testing.TB) (s *Server, as func(user string) *queue.Client) {
	t.Helper()
	var space messages.Space
	users := map[string]store.Permissions{
		"producer":   store.ProducerPermissions(space, "_INBOX_producer"),
		"builder":    store.BuilderPermissions(space, "_INBOX_builder"),
		"controller": store.ControllerPermissions(space, "_INBOX_controller"),
		"operator":   store.OperatorPermissions(space, "_INBOX_operator"),
		"n1":         store.NodePermissions(space, "production", "n1", "_INBOX_n1"),
		"n2":         store.NodePermissions(space, "staging", "n2", "_INBOX_n2"),
	}
	s = Start(t, func(o *server.Options) {
		o.Users = append(o.Users, &server.User{Username: "admin", Password: "secret"})
		for name, p := range users {
			o.Users = append(o.Users, &server.User{Username: name, Password: "secret", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: p.Publish},
				Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
			}})
		}
	})
	return s, func(user string) *queue.Client {
		return s.Connect(t, Credentials(user))
	}
}

// Credentials are a user's of Guarded.
func Credentials(user string) func(*queue.Options) {
	return func(o *queue.Options) {
		o.User, o.Password, o.InboxPrefix = user, messages.NewSecret("secret"), "_INBOX_"+user
	}
}
