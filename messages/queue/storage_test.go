package queue_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
)

// TestNATSThatCanNotHoldTheStreams has servers that are there and can't do what is needed.
func TestNATSThatCanNotHoldTheStreams(t *testing.T) {
	ready := func(ctx context.Context, c *queue.Client) error { return c.Ready(ctx) }
	declare := func(l store.Layout) func(context.Context, *queue.Client) error {
		return func(ctx context.Context, c *queue.Client) error { return store.Declare(ctx, c, l) }
	}
	account := server.NewAccount("others")
	for what, test := range map[string]struct {
		change func(*server.Options)
		do     func(context.Context, *queue.Client) error
		is     error
		waits  bool
		say    []string
	}{
		"without JetStream": {
			func(o *server.Options) { o.JetStream = false }, ready, queue.ErrUnavailable, true,
			[]string{"JetStream is off", "add a jetstream block"},
		},
		"JetStream for another account": {
			func(o *server.Options) {
				o.Accounts = []*server.Account{account}
				o.Users = []*server.User{{Username: "n1", Password: "secret", Account: account}}
			}, ready, queue.ErrNoJetStream, false,
			[]string{`off for the account`, `the user "n1"`, "jetstream: enabled"},
		},
		"a cluster most of which is missing": {
			func(o *server.Options) {
				o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: server.RANDOM_PORT}
				o.Routes = server.RoutesFromStr("nats://127.0.0.1:1,nats://127.0.0.1:2")
			}, ready, queue.ErrUnavailable, true,
			[]string{"no answer", "more than half of the servers"},
		},
		"too little storage": {
			func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 }, declare(store.Layout{}), queue.ErrFull, false,
			[]string{"may take 3328 MiB", "max_file_store", "4437 MiB have to be free", "insufficient storage"},
		},
		"copies on a server that is alone": {
			func(*server.Options) {}, declare(store.Layout{Replicas: 3}), nil, false,
			[]string{"in no cluster", "field Replicas"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := queuetest.Start(t, test.change)
			c := s.Connect(t, credentials("n1"), func(o *queue.Options) { o.InboxPrefix = "" })
			err := test.do(within(t), c)
			if err == nil || test.is != nil && !errors.Is(err, test.is) || errors.Is(err, queue.ErrUnavailable) != test.waits {
				t.Fatalf("the error is %v", err)
			}
			for _, say := range test.say {
				if !says(err, say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
}
