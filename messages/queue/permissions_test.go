package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// guarded is a server with a user for each role and two nodes.
func guarded(t *testing.T) (s *queuetest.Server, as func(user string) *queue.Client) {
	t.Helper()
	var space messages.Space
	users := map[string]queue.Permissions{
		"producer":   queue.ProducerPermissions(space, "_INBOX_producer"),
		"builder":    queue.BuilderPermissions(space, "_INBOX_builder"),
		"controller": queue.ControllerPermissions(space, "_INBOX_controller"),
		"operator":   queue.OperatorPermissions(space, "_INBOX_operator"),
		"n1":         queue.NodePermissions(space, "production", "n1", "_INBOX_n1"),
		"n2":         queue.NodePermissions(space, "staging", "n2", "_INBOX_n2"),
	}
	s = queuetest.Start(t, func(o *server.Options) {
		for name, p := range users {
			o.Users = append(o.Users, &server.User{Username: name, Password: "secret", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: p.Publish},
				Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
			}})
		}
	})
	return s, func(user string) *queue.Client {
		return s.Connect(t, credentials(user))
	}
}

func credentials(user string) func(*queue.Options) {
	return func(o *queue.Options) {
		o.User, o.Password, o.InboxPrefix = user, messages.NewSecret("secret"), "_INBOX_"+user
	}
}

func fleetRecord(t *testing.T, c *queue.Client, fleet string) uint64 {
	t.Helper()
	revision, err := queue.Fleets(c).Create(within(t), fleet, messages.FleetRecord{Fleet: fleet, Decision: messages.NewID()})
	must(t, err)
	return revision
}

func TestANodeMayDoItsPartAndNothingElse(t *testing.T) {
	s, as := guarded(t)
	controller := as("controller")
	must(t, controller.Declare(within(t), queue.Layout{}))
	revision := fleetRecord(t, controller, "production")
	fleetRecord(t, controller, "staging")
	node := as("n1")

	must(t, node.Ready(within(t)))
	f, err := node.ReadFleet(within(t), "production")
	must(t, err)
	if f.Revision != revision || f.Record.Fleet != "production" {
		t.Errorf("the node reads %+v", f)
	}
	status := messages.NodeStatus{Fleet: "production", Node: "n1", Beat: 1}
	must(t, node.Heartbeat(within(t), &status))
	must(t, node.Publish(within(t), "", &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}))
	must(t, node.Publish(within(t), "", &messages.TrialFinished{Fleet: "production", Node: "n1", Rollout: "production-b1"}))
	heard := make(chan uint64, 8)
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		_ = node.WatchFleet(watching, "production", func(f messages.FleetChanged) { heard <- f.Revision })
	}()
	if got := <-heard; got != revision {
		t.Errorf("the watch begins with revision %d", got)
	}
	must(t, controller.AnnounceFleet(within(t), messages.FleetChanged{Revision: revision + 5, Record: f.Record}))
	if got := <-heard; got != revision+5 {
		t.Errorf("the announcement came as revision %d", got)
	}

	for what, do := range map[string]func(context.Context) error{
		"read another fleet": func(ctx context.Context) error { _, err := node.ReadFleet(ctx, "staging"); return err },
		"beat for another node": func(ctx context.Context) error {
			return node.Heartbeat(ctx, &messages.NodeStatus{Fleet: "production", Node: "n9"})
		},
		"write its fleet": func(ctx context.Context) error {
			_, err := queue.Fleets(node).Update(ctx, "production", messages.FleetRecord{Fleet: "production"}, revision)
			return err
		},
		"join another node": func(ctx context.Context) error {
			_, err := queue.Members(node).Create(ctx, "production.n9", messages.Member{})
			return err
		},
		"report for another": func(ctx context.Context) error {
			return node.Publish(ctx, "", &messages.NodeFailed{Fleet: "production", Node: "n9"})
		},
		"request a build": func(ctx context.Context) error { _, err := node.Request(ctx, request("base", 1), ""); return err },
		"announce an image": func(ctx context.Context) error {
			p := ready(request("base", 1))
			p.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
			return node.Publish(ctx, "", p)
		},
		"read builds": func(ctx context.Context) error { _, err := queue.Builds(node).Get(ctx, "x"); return err },
		"watch fleet": func(ctx context.Context) error {
			return node.WatchFleet(ctx, "staging", func(messages.FleetChanged) {})
		},
		"store context": func(ctx context.Context) error { return node.PutContext(ctx, "x", nil) },
		"declare":       func(ctx context.Context) error { return node.Declare(ctx, queue.Layout{}) },
		"purge":         func(ctx context.Context) error { return node.DropDeadLetter(ctx, "fenceline-events-1") },
		"write the fence": func(ctx context.Context) error {
			_, err := node.JetStream().Publish(ctx, "$KV.fenceline-fence.production", []byte("x"))
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := do(ctx)
			if err == nil {
				t.Error("a node may")
			}
			t.Log(err)
		})
	}
	if got, err := queue.Fleets(controller).Get(within(t), "production"); err != nil || got.Revision != revision {
		t.Errorf("the fleet's record is %+v, %v", got, err)
	}
	listens(t, s, "n1", "fenceline.>", "$KV.>", "_INBOX.>", "_INBOX_n2.>", "fenceline.fleet.changed.v1.staging")
}

// listens checks that a user may subscribe to none of some subjects.
func listens(t *testing.T, s *queuetest.Server, user string, subjects ...string) {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.UserInfo(user, "secret"), nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.CustomInboxPrefix("_INBOX_"+user))
	must(t, err)
	defer nc.Close()
	for _, subject := range subjects {
		sub, err := nc.SubscribeSync(subject)
		must(t, err)
		if _, err := sub.NextMsg(testTime); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s may listen to %s: %v", user, subject, err)
		}
	}
}

func TestForbiddenIsSaidAtOnce(t *testing.T) {
	_, as := guarded(t)
	must(t, as("controller").Declare(within(t), queue.Layout{}))
	node := as("n1")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than a lost answer takes
	defer cancel()
	if _, err := node.ReadFleet(ctx, "staging"); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("reading another fleet: %v", err)
	}
	if _, err := node.Request(ctx, request("base", 1), ""); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("requesting a build: %v", err)
	}
	if err := node.Declare(ctx, queue.Layout{}); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("declaring: %v", err)
	}
	if err := node.PutContext(ctx, "x", nil); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("storing a context: %v", err)
	}
	if _, err := queue.Fleets(node).List(ctx); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("listing fleets: %v", err)
	}
	if err := node.WatchFleet(ctx, "staging", func(messages.FleetChanged) {}); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("watching another fleet: %v", err)
	}
}

func TestEachRoleCanDoItsWork(t *testing.T) {
	_, as := guarded(t)
	producer, builder, controller, operator := as("producer"), as("builder"), as("controller"), as("operator")
	must(t, producer.Declare(within(t), queue.Layout{}))
	must(t, controller.Declare(within(t), queue.Layout{}))
	for _, c := range []*queue.Client{producer, builder, controller, operator} {
		must(t, c.Ready(within(t)))
	}
	consume(t, builder, work(func(ctx context.Context, j *queue.Job) (messages.Payload, error) {
		if j.Request.Commit == commit(3) {
			return nil, queue.Permanent(errors.New("never"))
		}
		return succeed(ctx, j)
	}))
	a := submit(t, producer, request("base", 1))
	seen := make(chan string, 8)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		_ = controller.ConsumeEvents(ctx, "controllers", []string{controller.Space().Filter(messages.TypeImageReady)},
			func(_ context.Context, r queue.Received) error {
				seen <- r.Payload.(*messages.ImageReady).Build
				return nil
			})
	}()
	if got := <-seen; got != a.Build {
		t.Errorf("the controller saw %s", got)
	}
	ended(t, operator, a.Build)
	b, err := operator.RetryBuild(within(t), a.Build, "ann")
	must(t, err)
	ended(t, operator, b.Build)
	dead := submit(t, operator, request("base", 3))
	ended(t, operator, dead.Build)
	letters, err := operator.DeadLetters(within(t))
	must(t, err)
	must(t, operator.RequeueDeadLetter(within(t), queue.LetterName(letters[0])))
	_, err = producer.Sweep(within(t))
	must(t, err)
	_, err = operator.Sweep(within(t))
	must(t, err)
	fleetRecord(t, controller, "production")
	lease, end := context.WithCancel(t.Context())
	if err := controller.Lease(lease, "production", "c1", time.Second, func(context.Context) error { end(); return nil }); err != nil {
		t.Error(err)
	}
	end()
}
