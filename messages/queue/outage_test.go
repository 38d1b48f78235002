package queue_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

func TestAUserThatIsRefused(t *testing.T) {
	s, _ := guarded(t)
	for what, test := range map[string]struct {
		change func(*queue.Options)
		say    []string
	}{
		"no user":                   {func(*queue.Options) {}, []string{"wants a user", "field User", "field Password", "field CredentialsFile"}},
		"an unknown user":           {func(o *queue.Options) { o.User, o.Password = "nobody", messages.NewSecret("secret") }, []string{`the user "nobody"`, "field Password"}},
		"a wrong password":          {func(o *queue.Options) { o.User, o.Password = "n1", messages.NewSecret("hunter2") }, []string{`the user "n1"`, "field Password"}},
		"another's, for its inbox":  {func(o *queue.Options) { credentials("n1")(o); o.InboxPrefix = "_INBOX_n2" }, []string{`the user "n1" may not read its answers`, "_INBOX_n2"}},
		"a node's, for the usual's": {func(o *queue.Options) { credentials("n1")(o); o.InboxPrefix = "" }, []string{`the user "n1" may not read its answers`, "_INBOX.>"}},
	} {
		t.Run(what, func(t *testing.T) {
			o := queue.Options{URL: s.URL(), Source: "/x"}
			test.change(&o)
			_, err := queue.Connect(within(t), o)
			if !errors.Is(err, queue.ErrForbidden) || errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the error is %v", err)
			}
			for _, say := range append(test.say, s.URL()) {
				if !says(err, say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
}

// What the server has no room for may have room later: it is no fault of the credential.
func TestAServerThatIsFullOfConnections(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "nats.conf")
	must(t, os.WriteFile(conf, []byte(`accounts { A { jetstream: enabled, users: [{user: n1, password: secret}], limits { max_connections: 1 } } }`), 0o600))
	limited, err := server.ProcessConfigFile(conf)
	must(t, err)
	s := queuetest.Start(t, func(o *server.Options) { o.Accounts, o.Users = limited.Accounts, limited.Users })
	o := queue.Options{URL: s.URL(), Source: "/x"}
	credentials("n1")(&o)
	o.InboxPrefix = ""
	c, err := queue.Connect(within(t), o)
	must(t, err)
	_, err = queue.Connect(within(t), o)
	if !errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrForbidden) || !strings.Contains(err.Error(), "max_connections") {
		t.Fatalf("the error is %v", err)
	}
	c.Close()
	eventually(t, "there is room again", func() bool {
		again, err := queue.Connect(within(t), o)
		if err == nil {
			again.Close()
		}
		return err == nil
	})
}

// TestAUserThatIsRevoked changes what the server knows of a user that is connected.
func TestAUserThatIsRevoked(t *testing.T) {
	user := func(name, inbox string) *server.User {
		return &server.User{Username: name, Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{inbox + ".>"}},
		}}
	}
	for what, test := range map[string]struct {
		now *server.User
		say []string
	}{
		"removed":            {user("somebody", "_INBOX"), []string{`check the user "n1"`, "refuses the user"}},
		"may hear no answer": {user("n1", "_INBOX_else"), []string{`the user "n1" may not read its answers`}},
	} {
		t.Run(what, func(t *testing.T) {
			var options *server.Options
			s := queuetest.Start(t, func(o *server.Options) {
				o.Users = []*server.User{user("n1", "_INBOX_n1")}
				options = o
			})
			log := new(queuetest.Output)
			c := s.Connect(t, credentials("n1"), log.Logger)
			must(t, c.Ready(within(t)))
			set := func(u *server.User) {
				o := options.Clone()
				o.Users = []*server.User{u}
				must(t, s.Server().ReloadOptions(o))
			}
			set(test.now)
			eventually(t, "readiness and log say "+strings.Join(test.say, ", "), func() bool {
				err := c.Ready(within(t))
				for _, say := range test.say {
					if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), say) || !strings.Contains(log.String(), strings.ReplaceAll(say, `"`, `\"`)) {
						return false
					}
				}
				return true
			})
			if n := strings.Count(log.String(), "trying again all the time"); n > 3 {
				t.Errorf("it says so %d times:\n%s", n, log)
			}
			set(user("n1", "_INBOX_n1"))
			eventually(t, "it is ready again", func() bool { return c.Ready(within(t)) == nil })
			if _, err := queuetest.JetStream(t, c).AccountInfo(within(t)); err != nil {
				t.Errorf("it is ready and gets no answer: %v", err)
			}
		})
	}
}

// TestALostAnswerIsNotWaitedForAsLongAsThereIsTime has callers who have a minute, and a server whose answers get lost.
func TestALostAnswerIsNotWaitedForAsLongAsThereIsTime(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	p := s.Proxy(t)
	c := s.Connect(t, through(p))
	p.HoldAnswers()
	stream := c.Space().RequestsStream()
	shared := queue.Shared{Stream: stream, Name: "test", Type: messages.TypeNodeFailed, AckWait: testTime}
	for what, call := range map[string]func(context.Context) error{
		"declaring a stream":   func(ctx context.Context) error { return c.Declare(ctx, []queue.Stream{{Name: stream}}) },
		"declaring a consumer": func(ctx context.Context) error { return c.DeclareShared(ctx, shared, 0) },
		"counting by subject":  func(ctx context.Context) error { _, err := c.Subjects(ctx, stream, ">"); return err },
		"asking for batches":   func(ctx context.Context) error { _, err := c.TakesBatches(ctx, stream); return err },
		"asking for the floor": func(ctx context.Context) error { _, err := c.AckFloor(ctx, shared); return err },
		"opening an object":    func(ctx context.Context) error { _, err := c.GetObject(ctx, "objects", "x"); return err },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx := within(t)
			if err := call(ctx); !errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil {
				t.Errorf("it ends with %v, the time of its caller with %v", err, ctx.Err())
			}
		})
	}
}
