package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go"
)

func TestANodeMayDoItsPartAndNothingElse(t *testing.T) {
	s, as := guarded(t)
	controller := as("controller")
	must(t, store.Declare(within(t), controller, store.Layout{}))
	revision := fleetRecord(t, controller, "production")
	fleetRecord(t, controller, "staging")
	node := store.NewNode(as("n1"))

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
	// A newer controller announces in a version that this node does not read: it reads the record.
	revision, err = store.Fleets(controller).Update(within(t), "production", f.Record, revision)
	must(t, err)
	announced := &messages.FleetChanged{Revision: revision, Record: f.Record}
	m := newer(t, controller, announced)
	must(t, queuetest.JetStream(t, as("controller")).Conn().PublishMsg(&nats.Msg{
		Subject: controller.Space().SubjectAs(messages.TypeOf(m), announced), Header: nats.Header(m.Headers), Data: m.Body,
	}))
	if got := <-heard; got != revision {
		t.Errorf("after a newer announcement the record came as revision %d", got)
	}
	must(t, store.AnnounceFleet(controller, messages.FleetChanged{Revision: revision + 5, Record: f.Record}))
	if got := <-heard; got != revision+5 {
		t.Errorf("the announcement came as revision %d", got)
	}

	for what, do := range map[string]func(context.Context) error{
		"read another fleet": func(ctx context.Context) error { _, err := node.ReadFleet(ctx, "staging"); return err },
		"beat for another node": func(ctx context.Context) error {
			return node.Heartbeat(ctx, &messages.NodeStatus{Fleet: "production", Node: "n9"})
		},
		"write its fleet": func(ctx context.Context) error {
			_, err := store.Fleets(node.Client).Update(ctx, "production", messages.FleetRecord{Fleet: "production"}, revision)
			return err
		},
		"join another node": func(ctx context.Context) error {
			_, err := store.Members(node.Client).Create(ctx, "production.n9", messages.Member{})
			return err
		},
		"report for another": func(ctx context.Context) error {
			return node.Publish(ctx, "", &messages.NodeFailed{Fleet: "production", Node: "n9"})
		},
		"request a build": func(ctx context.Context) error {
			_, err := builds.New(node.Client).Request(ctx, request("base", 1), "")
			return err
		},
		"announce an image": func(ctx context.Context) error {
			p := ready(request("base", 1))
			p.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
			return node.Publish(ctx, "", p)
		},
		"read builds": func(ctx context.Context) error { _, err := store.Builds(node.Client).Get(ctx, "x"); return err },
		"watch fleet": func(ctx context.Context) error {
			return node.WatchFleet(ctx, "staging", func(messages.FleetChanged) {})
		},
		"store context": func(ctx context.Context) error { return builds.New(node.Client).PutContext(ctx, "x", nil) },
		"declare":       func(ctx context.Context) error { return store.Declare(ctx, node.Client, store.Layout{}) },
		"purge": func(ctx context.Context) error {
			return builds.New(node.Client).DropDeadLetter(ctx, "fenceline-events-1")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if err := do(within(t)); !errors.Is(err, queue.ErrForbidden) { // others say nothing about the credential
				t.Errorf("a node may: %v", err)
			}
		})
	}
	if got, err := store.Fleets(controller).Get(within(t), "production"); err != nil || got.Revision != revision {
		t.Errorf("the fleet's record is %+v, %v", got, err)
	}
	refused(t, s, "n1",
		"$JS.API.STREAM.PURGE.fenceline-events", "$JS.API.STREAM.PURGE.KV_fenceline-nodes", "$JS.API.STREAM.MSG.DELETE.fenceline-events",
		"$JS.API.STREAM.INFO.fenceline-events", "$JS.API.STREAM.INFO.KV_fenceline-fleets", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.MSG.GET.KV_fenceline-fleets", "$JS.API.STREAM.MSG.GET.fenceline-events", "$JS.API.INFO",
		"$JS.API.DIRECT.GET.KV_fenceline-builds.$KV.fenceline-builds.base-x", "$JS.API.DIRECT.GET.KV_fenceline-fleets",
		"$JS.API.DIRECT.GET.KV_fenceline-fleets.$KV.fenceline-fleets.staging", "$JS.API.DIRECT.GET.KV_fenceline-nodes.$KV.fenceline-nodes.production.n9",
		"$JS.API.CONSUMER.CREATE.fenceline-events.mine", "$JS.API.CONSUMER.CREATE.KV_fenceline-fleets.mine", "$JS.API.CONSUMER.CREATE.fenceline-requests",
		"$JS.API.CONSUMER.DURABLE.CREATE.fenceline-events.mine", "$JS.API.CONSUMER.MSG.NEXT.fenceline-requests.builders-build-requested-v1",
		"$JS.ACK.fenceline-requests.builders-build-requested-v1.1.1.1.1.1", "$KV.fenceline-nodes.production.n9", "$KV.fenceline-nodes.staging.n1",
		"$KV.fenceline-fleets.production", "$KV.fenceline-fence.production", "$KV.fenceline-builds.base-x", "$O.fenceline-contexts.M.x",
		"fenceline.fleet.changed.v1.production", "fenceline.node.failed.v1.staging.n1", "fenceline.trial.finished.v1.production.n9", "_INBOX_n2.x",
	)
	listens(t, s, "n1", "fenceline.>", "$KV.>", "_INBOX.>", "_INBOX_n2.>", "fenceline.fleet.changed.v1.staging")
}

// listens checks that a user may subscribe to none of some subjects.
func listens(t *testing.T, s *queuetest.Server, user string, subjects ...string) {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.UserInfo(user, "secret"), nats.Timeout(queuetest.TestTime), nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.CustomInboxPrefix("_INBOX_"+user))
	must(t, err)
	defer nc.Close()
	for _, subject := range subjects {
		sub, err := nc.SubscribeSync(subject)
		must(t, err)
		if _, err := sub.NextMsg(queuetest.TestTime); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s may listen to %s: %v", user, subject, err)
		}
	}
}

func TestForbiddenIsSaidAtOnce(t *testing.T) {
	_, as := guarded(t)
	must(t, store.Declare(within(t), as("controller"), store.Layout{}))
	node := store.NewNode(as("n1"))
	for what, do := range map[string]func(context.Context) error{
		"reading another fleet": func(ctx context.Context) error { _, err := node.ReadFleet(ctx, "staging"); return err },
		"requesting a build": func(ctx context.Context) error {
			_, err := builds.New(node.Client).Request(ctx, request("base", 1), "")
			return err
		},
		"declaring":         func(ctx context.Context) error { return store.Declare(ctx, node.Client, store.Layout{}) },
		"storing a context": func(ctx context.Context) error { return builds.New(node.Client).PutContext(ctx, "x", nil) },
		"listing fleets":    func(ctx context.Context) error { _, err := store.Fleets(node.Client).List(ctx); return err },
		"watching another fleet": func(ctx context.Context) error {
			return node.WatchFleet(ctx, "staging", func(messages.FleetChanged) {})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than a lost answer takes
		if err := do(ctx); !errors.Is(err, queue.ErrForbidden) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}

// refused checks that a user may publish to none of some subjects.
func refused(t *testing.T, s *queuetest.Server, user string, subjects ...string) {
	t.Helper()
	violations := make(chan error, len(subjects))
	nc, err := nats.Connect(s.URL(), nats.UserInfo(user, "secret"), nats.Timeout(queuetest.TestTime), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	must(t, err)
	defer nc.Close()
	for _, subject := range subjects {
		must(t, nc.Publish(subject, nil))
		must(t, nc.FlushWithContext(within(t)))
		select {
		case err := <-violations:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s publishes to %s: %v", user, subject, err)
			}
		case <-time.After(queuetest.TestTime):
			t.Errorf("%s may publish to %s", user, subject)
		}
	}
}

func TestNoRoleMayDoAnothersWork(t *testing.T) {
	s, as := guarded(t)
	must(t, store.Declare(within(t), as("controller"), store.Layout{}))
	decisions := []string{
		"$KV.fenceline-fleets.production", "$KV.fenceline-fleets.lease.controllers", "$KV.fenceline-fence.production",
		"$KV.fenceline-rollouts.x", "$KV.fenceline-members.production.n1", "$KV.fenceline-nodes.production.n1",
		"fenceline.fleet.changed.v1.production", "fenceline.rollout.changed.v1.production.x",
		"fenceline.node.failed.v1.production.n1", "fenceline.trial.finished.v1.production.n1",
		"$JS.API.STREAM.PURGE.KV_fenceline-fleets", "$JS.API.STREAM.PURGE.KV_fenceline-rollouts", "$JS.API.STREAM.PURGE.fenceline-events", "$JS.API.STREAM.UPDATE.fenceline-events",
	}
	destruction := []string{
		"$JS.API.STREAM.DELETE.fenceline-requests", "$JS.API.STREAM.UPDATE.fenceline-requests", "$JS.API.STREAM.DELETE.KV_fenceline-fleets",
		"$JS.API.STREAM.MSG.DELETE.fenceline-requests", "$JS.API.STREAM.CREATE.other", "$JS.API.STREAM.INFO.other", "other",
		"$JS.ACK.fenceline-events.controllers.1.1.1.1.1",
	}
	requests := []string{
		"fenceline.build.requested.v1.base", "$O.fenceline-contexts.M.x", "$JS.API.STREAM.PURGE.fenceline-requests",
		"$JS.API.STREAM.PURGE.OBJ_fenceline-contexts", "$JS.API.STREAM.PURGE.KV_fenceline-builds", "$KV.fenceline-triggers.schedule.base.x",
	}
	taken := "$JS.ACK.fenceline-requests.builders-build-requested-v1.1.1.1.1.1"
	for user, subjects := range map[string][][]string{
		"producer": {decisions, destruction, {taken, "fenceline.build.log.v1.base.x", "$JS.API.STREAM.CREATE.KV_fenceline-triggers", "$JS.API.STREAM.PURGE.KV_fenceline-triggers"}},
		"builder": {decisions, destruction, requests, {
			"$JS.API.STREAM.CREATE.fenceline-requests", "$JS.API.CONSUMER.DELETE.fenceline-requests.builders-build-requested-v1",
			"$JS.API.CONSUMER.CREATE.fenceline-requests.mine", "$JS.API.CONSUMER.MSG.NEXT.fenceline-requests.mine",
			"$JS.API.CONSUMER.CREATE.fenceline-events.mine", "$JS.API.STREAM.MSG.GET.fenceline-events",
		}},
		"controller": {destruction[:len(destruction)-1], requests, {
			taken, "$KV.fenceline-builds.x", "$KV.fenceline-nodes.production.n1", "fenceline.image.ready.v1.base.x",
			"fenceline.build.failed.v1.base.x", "fenceline.node.failed.v1.production.n1",
		}},
		// It may cancel builds and ask for them again, retire nodes, and send again what was buried; see TestAConsoleCanDoItsWork.
		"console": {destruction, requests[1:], {
			taken, "$KV.fenceline-fleets.lease.controllers", "$KV.fenceline-fence.production", "$KV.fenceline-members.production", "$KV.fenceline-members.production.n1.x",
			"$KV.fenceline-nodes.production", "$KV.fenceline-nodes.production.n1.x", "$KV.fenceline-builds.beat.x", "$KV.fenceline-builds.sweep.floor", "$KV.fenceline-statuses.told.x.y", "$KV.fenceline-calls.x",
			"fenceline.build.log.v1.base.x", "fenceline.build.started.v1.base.x", "fenceline.dead.letter.v1.fenceline-requests.1", "fenceline.calls.audited.v1.x",
			"$JS.API.STREAM.MSG.DELETE.fenceline-letters",
			"$JS.API.STREAM.CREATE.fenceline-requests", "$JS.API.STREAM.PURGE.KV_fenceline-fleets", "$JS.API.STREAM.PURGE.KV_fenceline-rollouts",
			"$JS.API.STREAM.PURGE.KV_fenceline-members", "$JS.API.STREAM.PURGE.KV_fenceline-nodes", "$JS.API.STREAM.PURGE.fenceline-logs", "$JS.API.STREAM.PURGE.fenceline-audit",
			"$JS.API.STREAM.PURGE.fenceline-reports", "$JS.API.STREAM.UPDATE.fenceline-events", "$JS.API.STREAM.DELETE.fenceline-letters", "fenceline.fence.asked.v1.production",
		}},
		"operator": {destruction[:len(destruction)-1], {taken}},
		"statuses": {decisions, destruction, requests, {
			taken, "$KV.fenceline-builds.x", "fenceline.image.ready.v1.base.x", "fenceline.build.failed.v1.base.x",
			"$JS.API.STREAM.CREATE.KV_fenceline-statuses", "$JS.API.STREAM.MSG.GET.fenceline-events", "$JS.API.DIRECT.GET.fenceline-requests", "$JS.API.DIRECT.GET.fenceline-requests.fenceline.build.requested.v1.base", "$JS.API.CONSUMER.CREATE.fenceline-requests.mine",
			"$JS.API.CONSUMER.MSG.NEXT.fenceline-requests.builders-build-requested-v1", "$JS.API.STREAM.MSG.GET.KV_fenceline-fleets", "$JS.API.STREAM.MSG.GET.OBJ_fenceline-contexts",
			"$JS.API.CONSUMER.CREATE.fenceline-events.mine", "$JS.API.CONSUMER.DELETE.fenceline-events.statuses-image-ready-v1",
			"$JS.API.CONSUMER.MSG.NEXT.fenceline-events.controller-image-ready-v1", "$JS.ACK.fenceline-events.controller-image-ready-v1.1.1.1.1.1",
			"$JS.API.STREAM.PURGE.KV_fenceline-statuses", "fenceline.dead.letter.v1.fenceline-requests.4", "fenceline.decision.made.v1.person",
			"fenceline.event.undelivered.v1.chat", "$JS.API.STREAM.PURGE.fenceline-sinks", "$JS.API.STREAM.PURGE.fenceline-letters",
		}},
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			for _, list := range subjects {
				refused(t, s, user, list...)
			}
		})
	}
	listens(t, s, "builder", "fenceline.>", "$KV.>", "_INBOX.>", "_INBOX_producer.>")
	listens(t, s, "producer", "fenceline.>", "$KV.>", "_INBOX_builder.>")
	listens(t, s, "statuses", "fenceline.>", "$KV.>", "_INBOX_producer.>")
	listens(t, s, "console", "fenceline.>", "$KV.>", "_INBOX.>", "_INBOX_operator.>")
	listens(t, s, "controller", "$JS.>", "$KV.>", "_INBOX_operator.>")
}

func TestProducerAndBuilderCanDoTheirWork(t *testing.T) {
	_, as := guarded(t)
	producer, builder, operator := as("producer"), as("builder"), as("operator")
	if err := store.Declare(within(t), producer, store.Layout{}); !errors.Is(err, queue.ErrUndeclared) || !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a producer declares: %v", err)
	}
	must(t, store.Declare(within(t), operator, store.Layout{}))
	must(t, store.Declare(within(t), producer, store.Layout{}))
	for _, c := range []*queue.Client{producer, builder, operator} {
		must(t, c.Ready(within(t)))
	}
	must(t, builds.New(producer).PutContext(within(t), "ctx-1", strings.NewReader("a tar")))
	consume(t, builder, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit == commit(3) {
			return nil, queue.Permanent(errors.New("never"))
		}
		r, err := builds.New(builder).GetContext(ctx, "ctx-1")
		if err != nil {
			return nil, err
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "a tar" {
			return nil, fmt.Errorf("the context is %q, %w", got, err)
		}
		if err := j.Event(ctx, &messages.BasePinned{BuildRef: j.Request.BuildRef()}); err != nil {
			return nil, err
		}
		j.Log(messages.BuildLog{Text: "hello"})
		return ready(j.Request), nil
	}))
	a := submit(t, producer, request("base", 1))
	if r := ended(t, operator, a.Build); r.State != messages.BuildStateSucceeded {
		t.Fatalf("record is %+v", r)
	}
	b, err := builds.New(operator).Retry(within(t), a.Build, "ann")
	must(t, err)
	ended(t, operator, b.Build)
	dead := submit(t, operator, request("base", 3))
	ended(t, operator, dead.Build)
	letters, err := builds.New(operator).DeadLetters(within(t))
	must(t, err)
	must(t, builds.New(producer).DropDeadLetter(within(t), builds.LetterName(letters[0])))
	must(t, operator.Publish(within(t), "", &letters[0]))
	_, err = builds.New(operator).RequeueDeadLetter(within(t), builds.LetterName(letters[0]), "ann")
	must(t, err)
	for _, c := range []*queue.Client{producer, operator} {
		_, err = builds.New(c).Sweep(within(t))
		must(t, err)
		_, err = store.NewClock(c).Now(within(t))
		must(t, err)
		_, err = builds.New(c).Queued(within(t))
		must(t, err)
		must(t, c.Read(within(t), c.Space().LogsStream(), queue.ReadOptions{}, func(queue.Received) error { return nil }))
	}
}

func TestControllerAndOperatorCanDoTheirWork(t *testing.T) {
	_, as := guarded(t)
	controller, operator, node := as("controller"), as("operator"), store.NewNode(as("n1"))
	must(t, store.Declare(within(t), controller, store.Layout{}))
	must(t, store.Declare(within(t), operator, store.Layout{}))
	must(t, controller.Ready(within(t)))
	beats := make(chan string, 8)
	go func() {
		_ = store.Nodes(controller).Watch(t.Context(), func(e queue.Entry[messages.NodeStatus]) { beats <- e.Key }, nil)
	}()
	must(t, node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "production", Node: "n1", Beat: 1}))
	if got := <-beats; got != "production.n1" {
		t.Errorf("the controller saw a heartbeat of %s", got)
	}
	member, err := store.Members(controller).Create(within(t), "production.n1", messages.Member{Fleet: "production", Node: "n1"})
	must(t, err)
	_, err = store.Rollouts(controller).Create(within(t), "production-x", messages.RolloutRecord{ID: "production-x"})
	must(t, err)
	fleetRecord(t, controller, "production")

	seen := make(chan string, 8)
	go func() {
		_ = controller.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeRolloutChanged},
			func(_ context.Context, r queue.Received) error {
				m := r.Payload.(*messages.RolloutChanged)
				if m.State == messages.RolloutFailed {
					return queue.Permanent(errors.New("never"))
				}
				seen <- m.Rollout
				return nil
			})
	}()
	for _, state := range []messages.RolloutState{messages.RolloutFailed, messages.RolloutDone} {
		must(t, controller.Publish(within(t), "", &messages.RolloutChanged{Fleet: "production", Rollout: "production-x", State: state}))
	}
	if got := <-seen; got != "production-x" {
		t.Errorf("the controller saw %s", got)
	}
	reason := errors.New("enough")
	if err := controller.Lease(within(t), controller.Space().FleetsBucket(), "production", "c1", time.Second, func(context.Context) error { return reason }); !errors.Is(err, reason) {
		t.Error(err)
	}

	for _, c := range []*queue.Client{controller, operator} {
		fence, err := queuetest.JetStream(t, c).KeyValue(within(t), c.Space().FenceBucket())
		must(t, err)
		_, err = fence.Put(within(t), "production", []byte("x"))
		must(t, err)
		_, err = fence.History(within(t), "production")
		must(t, err)
		f, err := store.ReadFleet(within(t), c, "production")
		must(t, err)
		must(t, store.AnnounceFleet(c, f))
		_, err = store.Fleets(c).Modify(within(t), "production", func(r *messages.FleetRecord) error {
			r.Decision = messages.NewID()
			return nil
		})
		must(t, err)
	}
	letters, err := builds.New(operator).DeadLetters(within(t))
	must(t, err)
	must(t, builds.New(operator).DropDeadLetter(within(t), builds.LetterName(letters[0])))
	// Retiring a node takes its heartbeat and its membership.
	beat, err := store.Nodes(operator).Get(within(t), "production.n1")
	must(t, err)
	must(t, store.Nodes(operator).Delete(within(t), "production.n1", beat.Revision))
	must(t, store.Members(operator).Delete(within(t), "production.n1", member))
	_, err = store.Rollouts(operator).Modify(within(t), "production-x", func(r *messages.RolloutRecord) error {
		r.Approved = "ann"
		return nil
	})
	must(t, err)
}

// TestAConsoleCanDoItsWork, with the decisions of people: what else it may not do TestNoRoleMayDoAnothersWork says.
func TestAConsoleCanDoItsWork(t *testing.T) {
	_, as := guarded(t)
	controller, console, node := as("controller"), as("console"), store.NewNode(as("n1"))
	must(t, store.Declare(within(t), controller, store.Layout{}))
	fleetRecord(t, controller, "production")
	must(t, console.Ready(within(t)))
	_, err := store.Fleets(console).Modify(within(t), "production", func(r *messages.FleetRecord) error { r.Decision = messages.NewID(); return nil })
	must(t, err)
	must(t, node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "production", Node: "n1", Beat: 1}))
	member, err := store.Members(controller).Create(within(t), "production.n1", messages.Member{Fleet: "production", Node: "n1"})
	must(t, err)
	beat, err := store.Nodes(console).Get(within(t), "production.n1")
	must(t, err)
	must(t, store.Nodes(console).Delete(within(t), "production.n1", beat.Revision))
	must(t, store.Members(console).Delete(within(t), "production.n1", member))
	r := request("base", 1)
	m, err := messages.Encode(console.Envelope(r.Build, ""), r)
	must(t, err)
	for sequence := range uint64(2) {
		must(t, as("admin").Publish(within(t), "", &messages.DeadLetter{
			Stream: console.Space().RequestsStream(), Sequence: sequence + 1, Subject: console.Space().RequestSubject("base"), Reason: "no", Headers: m.Headers, Body: m.Body,
		}))
	}
	build, err := builds.New(console).RequeueDeadLetter(within(t), "fenceline-requests-1", "ann")
	if err != nil || build == "" {
		t.Errorf("requeued as %q, %v", build, err)
	}
	must(t, builds.New(console).DropDeadLetter(within(t), "fenceline-requests-2"))
}
