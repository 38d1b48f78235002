package queue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// back waits until a client has reached a server that was away.
func back(t *testing.T, clients ...*queue.Client) {
	t.Helper()
	for _, c := range clients {
		eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	}
}

func TestABuildOutlivesAServerRestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish := make(chan struct{}, 1), make(chan struct{})
	w := work(func(ctx context.Context, j *queue.Job) (messages.Payload, error) {
		select {
		case started <- struct{}{}:
		default: // the second request's
		}
		<-finish
		return succeed(ctx, j)
	})
	w.AckWait = testTime
	consume(t, c, w)
	a := submit(t, c, request("base", 1))
	<-started
	s.Stop()
	close(finish) // the outcome meets no server
	s.Resume(t)
	if r := ended(t, c, a.Build); r.Attempt != 1 || r.State != messages.BuildStateSucceeded {
		t.Errorf("record is %+v", r)
	}
	b := submit(t, c, request("other", 2))
	eventually(t, "requests are taken again", func() bool {
		e, err := queue.Builds(c).Get(t.Context(), b.Build)
		return err == nil && e.Value.Attempt > 0
	})
}

func TestABuildWhoseServerIsAwayTooLongIsBuiltAgainOnce(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, lost := make(chan struct{}), make(chan error, 1)
	var builds atomic.Int32
	consume(t, c, shortly(work(func(ctx context.Context, j *queue.Job) (messages.Payload, error) {
		if builds.Add(1) == 1 {
			close(started)
			<-ctx.Done()
			lost <- context.Cause(ctx)
		}
		return succeed(ctx, j)
	})))
	a := submit(t, c, request("base", 1))
	<-started
	s.Stop()
	if err := <-lost; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("the build ended with %v", err)
	}
	s.Resume(t)
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 || builds.Load() != 2 {
		t.Errorf("after %d builds the record is %+v", builds.Load(), r)
	}
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestACancelIsHeardAfterARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, cause := make(chan struct{}), make(chan error, 1)
	w := work(func(ctx context.Context, _ *queue.Job) (messages.Payload, error) {
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	})
	w.AckWait = testTime
	consume(t, c, w)
	a := submit(t, c, request("base", 1))
	<-started
	s.Restart(t)
	back(t, c)
	must(t, c.CancelBuild(within(t), a.Build, "ann"))
	if err := <-cause; !errors.Is(err, queue.ErrCancelled) {
		t.Errorf("the build ended with %v", err)
	}
	if got := endings(t, c); got["build.cancelled "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestALeaseIsKeptOverAShortAbsenceOfTheServer(t *testing.T) {
	s := queuetest.Start(t)
	c, other := s.Client(t), s.Connect(t)
	held, finish := make(chan struct{}), make(chan struct{})
	enough := errors.New("enough")
	ended := make(chan error, 1)
	go func() {
		ended <- c.Lease(t.Context(), "controllers", "c1", testTime, func(ctx context.Context) error {
			close(held)
			select {
			case <-finish:
				return enough
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	<-held
	s.Restart(t)
	back(t, c, other)
	waited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := other.Lease(waited, "controllers", "c2", testTime, func(context.Context) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another gets the lease, which is held: %v", err)
	}
	close(finish)
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("the lease ended with %v", err)
	}
}

func TestALeaseThatIsLostWithTheServerIsTakenAgain(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	var holders, most atomic.Int32
	held, lost := make(chan struct{}, 99), make(chan error, 99)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, name := range []string{"c1", "c2"} {
		client := s.Connect(t)
		all.Go(func() {
			_ = client.Lease(ctx, "controllers", name, 300*time.Millisecond, func(ctx context.Context) error {
				most.Store(max(most.Load(), holders.Add(1)))
				defer holders.Add(-1)
				held <- struct{}{}
				<-ctx.Done()
				lost <- context.Cause(ctx)
				return context.Cause(ctx)
			})
		})
	}
	<-held
	s.Stop()
	if err := <-lost; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("the lease ended with %v", err)
	}
	s.Resume(t)
	back(t, c)
	<-held
	stop()
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held the lease at one time", most.Load())
	}
}

// Nobody had it since, so that its last holder need not wait as others do.
func TestALeaseThatIsLostWithTheServerIsTakenAtOnceByItsLastHolder(t *testing.T) {
	const ttl = 6 * time.Second
	s := queuetest.Start(t)
	c := s.Client(t)
	held, lost := make(chan struct{}, 9), make(chan struct{}, 9)
	go func() {
		_ = c.Lease(t.Context(), "controllers", "c1", ttl, func(ctx context.Context) error {
			held <- struct{}{}
			<-ctx.Done()
			lost <- struct{}{}
			return context.Cause(ctx)
		})
	}()
	<-held
	s.Stop()
	<-lost
	s.Resume(t)
	back(t, c)
	since := time.Now()
	<-held
	if took := time.Since(since); took > ttl*2/3 {
		t.Errorf("it was taken again after %s", took)
	}
}

func TestEventsAreHandledAcrossARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish, seen := make(chan struct{}, 9), make(chan struct{}), make(chan string, 9)
	go func() {
		_ = c.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeNodeFailed},
			func(_ context.Context, r queue.Received) error {
				started <- struct{}{}
				<-finish
				seen <- r.Payload.(*messages.NodeFailed).Node
				return nil
			})
	}()
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1"}))
	<-started
	s.Stop()
	close(finish) // the acknowledgement meets no server
	s.Resume(t)
	back(t, c)
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n2"}))
	got := map[string]bool{}
	for !got["n1"] || !got["n2"] {
		got[<-seen] = true
	}
}

func TestANodeGoesOnAfterARestartThatTookTheHeartbeats(t *testing.T) {
	s := queuetest.Start(t)
	controller := s.Client(t)
	p := s.Proxy(t)
	node := s.Connect(t, through(p))
	beat := func() error {
		return node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "f", Node: "n1", Beat: 1})
	}
	fleetRecord(t, controller, "f")
	must(t, beat())
	records, seen := make(chan messages.FleetChanged, 9), make(chan bool, 9)
	go func() { _ = node.WatchFleet(t.Context(), "f", func(f messages.FleetChanged) { records <- f }) }()
	go func() {
		_ = queue.Nodes(controller).Watch(t.Context(), func(e queue.Entry[messages.NodeStatus]) { seen <- !e.Deleted }, nil)
	}()
	was := <-records
	if !<-seen {
		t.Error("the heartbeat is not seen")
	}
	p.Hold() // the node comes back after the record was changed, and hears no announcement
	s.Restart(t)
	back(t, controller)
	if _, err := queue.Nodes(controller).Get(within(t), "f.n1"); !errors.Is(err, queue.ErrUndeclared) {
		t.Errorf("with its bucket gone: %v", err)
	}
	e, err := queue.Fleets(controller).Modify(within(t), "f", func(r *messages.FleetRecord) error {
		r.Decision = messages.NewID()
		return nil
	})
	must(t, err)
	p.Release()
	if f := <-records; f.Revision != e.Revision || f.Record.Decision == was.Record.Decision {
		t.Errorf("the node is given %+v", f)
	}
	if err := beat(); !errors.Is(err, queue.ErrUndeclared) || !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a heartbeat into no bucket: %v", err)
	}
	must(t, controller.Declare(within(t), queue.Layout{}))
	must(t, beat())
	for !<-seen { // that it went is seen where the watch looks before it beats again
	}
}
