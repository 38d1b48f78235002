package builds_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// branch is a branch of a repository, whose head a builder looks at.
type branch struct{ head atomic.Pointer[string] }

func (b *branch) push(commit string) { b.head.Store(&commit) }

func (b *branch) build(ctx context.Context, j *builds.Job) (messages.Payload, error) {
	if head := *b.head.Load(); head != j.Request.Commit {
		return &messages.BuildSuperseded{Commit: j.Request.Commit, Head: head}, nil
	}
	return succeed(ctx, j)
}

func sweep(t *testing.T, q *builds.Queue) builds.SweepReport {
	t.Helper()
	report, err := q.Sweep(within(t))
	must(t, err)
	return report
}

func TestAHeadWhoseHookWasLostIsBuilt(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	var b branch
	b.push(commit(2)) // its hook is lost
	consume(t, c, work(b.build))
	a := submit(t, c, request("base", 1))
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSuperseded || r.Head != commit(2) {
		t.Fatalf("record is %+v", r)
	}
	settled(t, c)
	var all sync.WaitGroup
	var asked atomic.Int64
	for range 3 { // producers
		q := builds.New(s.Connect(t))
		all.Go(func() { asked.Add(int64(sweep(t, q).Followed)) })
	}
	all.Wait()
	e, err := store.Builds(c).Get(within(t), a.Build)
	must(t, err)
	r := ended(t, c, e.Value.FollowedBy)
	if r.State != messages.BuildStateSucceeded || r.Commit != commit(2) || r.Order <= a.Order || r.Ref != "refs/heads/main" {
		t.Errorf("the head's build is %+v", r)
	}
	info, err := c.Info(within(t), c.Space().RequestsStream())
	must(t, err)
	if asked.Load() < 1 || info.Last != 2 { // the same request of all is one
		t.Errorf("it was asked for by %d, as %d requests", asked.Load(), info.Last-1)
	}
	if late := submit(t, c, request("base", 2)); !late.Duplicate || late.Build != r.Build {
		t.Errorf("its hook, which comes late, is %+v", late)
	}
	if report := sweep(t, queueOf(c)); report.Followed != 0 {
		t.Errorf("the next sweep did %+v", report)
	}
}

func TestAHeadThatWasAskedForIsNotAskedForAgain(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	b.push(commit(3))
	a, second := submit(t, c, request("base", 1)), submit(t, c, request("base", 2))
	third := submit(t, c, request("base", 3))
	consume(t, c, work(b.build))
	for _, x := range []builds.Accepted{a, second, third} {
		ended(t, c, x.Build)
	}
	settled(t, c)
	if report := sweep(t, queueOf(c)); report.Followed != 0 || report.Cleared != 2 {
		t.Errorf("the sweep did %+v", report)
	}
	if report := sweep(t, builds.New(c)); report.Followed != 0 {
		t.Errorf("another producer's sweep did %+v", report)
	}
	e, err := store.Builds(c).Get(within(t), a.Build)
	must(t, err)
	if e.Value.FollowedBy != third.Build {
		t.Errorf("record is %+v", e.Value)
	}
}

func TestABranchThatCameBackWhileItsBuildEndedIsBuilt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	b.push(commit(1))
	looked, pushed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		p, err := b.build(ctx, j)
		once.Do(func() { close(looked); <-pushed })
		return p, err
	}))
	b.push(commit(2)) // its hook is lost
	a := submit(t, c, request("base", 1))
	<-looked
	b.push(commit(1)) // back again
	if again := submit(t, c, request("base", 1)); !again.Duplicate {
		t.Fatalf("the second hook is %+v", again)
	}
	close(pushed)
	ended(t, c, a.Build)
	eventually(t, "the head is built", func() bool {
		sweep(t, queueOf(c))
		list, err := store.Builds(c).List(t.Context())
		must(t, err)
		for _, e := range list {
			if e.Value.State == messages.BuildStateSucceeded && e.Value.Commit == commit(1) && e.Value.Order > a.Order {
				return true
			}
		}
		return false
	})
}

func TestARetryOfTheHeadIsNoBuildOfIt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	b.push(commit(1))
	stop := consume(t, c, work(b.build))
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	stop()
	b.push(commit(1))
	a := submit(t, c, request("base", 2))
	retry, err := queueOf(c).Retry(within(t), first.Build, "ann") // in its old order, which doesn't flip
	must(t, err)
	consume(t, c, work(b.build))
	ended(t, c, a.Build)
	ended(t, c, retry.Build)
	if report := sweep(t, queueOf(c)); report.Followed != 1 {
		t.Errorf("the sweep did %+v", report)
	}
}

func TestASupersededBuildOfBeforeIsLeftAlone(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	b.push(commit(2))
	consume(t, c, work(b.build))
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	_, err := store.Builds(c).Modify(within(t), a.Build, func(r *messages.BuildRecord) error {
		r.Head = "" // as an earlier version wrote it
		return nil
	})
	must(t, err)
	if report := sweep(t, queueOf(c)); report.Followed != 0 {
		t.Errorf("the sweep did %+v", report)
	}
}

func TestALaterPushIsKnown(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	before, after := make(chan string, 1), make(chan string, 1)
	pushed := make(chan struct{})
	later := func(ctx context.Context, j *builds.Job) string {
		commit, err := j.Later(ctx)
		if err != nil {
			t.Error(err)
		}
		return commit
	}
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit == commit(1) {
			before <- later(ctx, j)
			<-pushed
			after <- later(ctx, j)
		}
		return succeed(ctx, j)
	}))
	submit(t, c, request("base", 1))
	if got := <-before; got != "" {
		t.Errorf("before it was pushed to again, %s came later", got)
	}
	submit(t, c, request("base", 2))
	close(pushed)
	if got := <-after; got != commit(2) {
		t.Errorf("%q came later, want %s", got, commit(2))
	}
}
