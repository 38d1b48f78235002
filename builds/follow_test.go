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
	b.push(commit(3))
	ended(t, c, submit(t, c, request("base", 3)).Build)
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

// TestAHeadWhoseBuildCameFirstIsNotBuiltAgain tells of a push before it tells of the one that came before it.
func TestAHeadWhoseBuildCameFirstIsNotBuiltAgain(t *testing.T) {
	for name, test := range map[string]struct {
		outcome func(*messages.BuildRequested) messages.Payload // of the head's build
		asked   int
	}{
		"built":       {func(r *messages.BuildRequested) messages.Payload { return ready(r) }, 0},
		"refused":     {func(*messages.BuildRequested) messages.Payload { return failed(messages.FailureUser) }, 0},
		"not for its": {func(*messages.BuildRequested) messages.Payload { return failed(messages.FailureInfrastructure) }, 1},
		"superseded": {func(r *messages.BuildRequested) messages.Payload {
			return &messages.BuildSuperseded{Commit: r.Commit, Head: commit(1)}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			q, goOn := queueOf(c), make(chan struct{})
			w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				if j.Request.Commit == commit(1) {
					return &messages.BuildSuperseded{Commit: commit(1), Head: commit(2)}, nil
				}
				if j.Request.Order > 2 {
					return succeed(ctx, j)
				}
				<-goOn
				return test.outcome(j.Request), nil
			})
			w.Slots = 2
			consume(t, c, w)
			head, before := submit(t, c, request("base", 2)), submit(t, c, request("base", 1))
			ended(t, c, before.Build)
			if report := sweep(t, q); report.Followed != 0 {
				t.Errorf("while the head is built, the sweep did %+v", report)
			}
			submit(t, c, request("other", 3)) // the pipeline's requests stay meanwhile
			if info, err := c.Info(within(t), c.Space().RequestsStream()); err != nil || info.Messages != 3 {
				t.Errorf("requests are %+v, %v", info, err)
			}
			close(goOn)
			ended(t, c, head.Build)
			settled(t, c)
			if report := sweep(t, q); report.Followed != test.asked {
				t.Errorf("then the sweep did %+v, want %d", report, test.asked)
			}
			e, err := store.Builds(c).Get(within(t), before.Build)
			must(t, err)
			if by := e.Value.FollowedBy; by == "" || (by == head.Build) != (test.asked == 0) {
				t.Errorf("it is followed by %q, the first build of the head is %s", by, head.Build)
			}
		})
	}
}

// TestABranchThatWentBackIsBuiltWhereAnotherImageCameSince goes from 1 to 2, to 3 and back to 1, of which nobody is told.
func TestABranchThatWentBackIsBuiltWhereAnotherImageCameSince(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	consume(t, c, work(b.build))
	for n := 1; n <= 2; n++ {
		b.push(commit(n))
		ended(t, c, submit(t, c, request("base", n)).Build)
	}
	b.push(commit(1))
	a := submit(t, c, request("base", 3))
	ended(t, c, a.Build)
	settled(t, c)
	if report := sweep(t, queueOf(c)); report.Followed != 1 {
		t.Fatalf("the sweep did %+v", report)
	}
	e, err := store.Builds(c).Get(within(t), a.Build)
	must(t, err)
	if r := ended(t, c, e.Value.FollowedBy); r.State != messages.BuildStateSucceeded || r.Commit != commit(1) || r.Order <= a.Order {
		t.Errorf("the head's build is %+v", r)
	}
}

// TestAHeadIsAskedForOnceWhateverIsToldMeanwhile has its hook, and those of others, come as sweeps ask for it.
func TestAHeadIsAskedForOnceWhateverIsToldMeanwhile(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	stop := consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) {
		return &messages.BuildSuperseded{Commit: commit(1), Head: commit(2)}, nil
	}))
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	stop()
	var all sync.WaitGroup
	for range 3 {
		q := builds.New(s.Connect(t))
		all.Go(func() { sweep(t, q) })
	}
	all.Go(func() { submit(t, c, request("base", 2)) })
	all.Wait()
	info, err := c.Info(within(t), c.Space().RequestsStream())
	must(t, err)
	if info.Last != 2 {
		t.Errorf("it was asked for %d times", info.Last-1)
	}
}

// TestABuildKnowsWhoSupersededIt has the newer push asked for before the older one's build ends.
func TestABuildKnowsWhoSupersededIt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var b branch
	b.push(commit(2))
	first, second := submit(t, c, request("base", 1)), submit(t, c, request("base", 2))
	consume(t, c, work(b.build))
	if r := ended(t, c, first.Build); r.FollowedBy != second.Build {
		t.Errorf("record is %+v", r)
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

// TestAHeadIsBuiltForTheReasonOfTheBuildThatItSuperseded has a base change, or a schedule's time come, as the branch is pushed to
// or a mirror shows it as it was: the head that is built in place of the commit that was asked for has not been built for that.
func TestAHeadIsBuiltForTheReasonOfTheBuildThatItSuperseded(t *testing.T) {
	for name, why := range map[string]messages.Reason{
		"base":     {Kind: messages.ReasonBase, Link: "a@b", Detail: "debian:13"},
		"cascade":  {Kind: messages.ReasonCascade, Link: "base-aaaa"},
		"schedule": {Kind: messages.ReasonSchedule, Link: "2026-02-03T04:05:00Z", Detail: "5 4 * * *"},
	} {
		for when, headFirst := range map[string]bool{"of a head that was built before": true, "of a head that nobody told of": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				c := queuetest.Start(t).Client(t)
				var b branch
				b.push(commit(2))
				consume(t, c, work(b.build))
				if headFirst {
					ended(t, c, submit(t, c, request("base", 2)).Build)
				}
				r := request("base", 1)
				r.Reason, r.NoCache = &why, why.Kind == messages.ReasonSchedule
				a := submit(t, c, r)
				ended(t, c, a.Build)
				settled(t, c)
				if report := sweep(t, queueOf(c)); report.Followed != 1 {
					t.Fatalf("the sweep did %+v", report)
				}
				e, err := store.Builds(c).Get(within(t), a.Build)
				must(t, err)
				next := ended(t, c, e.Value.FollowedBy)
				if next.State != messages.BuildStateSucceeded || next.Commit != commit(2) || next.Order <= a.Order || next.Why() != why {
					t.Errorf("the head's build is %+v, for %s", next, next.Why())
				}
				_, asked, err := messages.DecodeAs[*messages.BuildRequested](*next.Asked)
				if err != nil || asked.NoCache != r.NoCache {
					t.Errorf("its request is %+v, %v", asked, err)
				}
				if report := sweep(t, queueOf(c)); report.Followed != 0 {
					t.Errorf("the next sweep did %+v", report)
				}
			})
		}
	}
}

// TestAScheduledHeadIsBuiltWithoutACache also where its push is asked for meanwhile, whose build takes what builders keep.
func TestAScheduledHeadIsBuiltWithoutACache(t *testing.T) {
	for kind, want := range map[messages.ReasonKind]int{messages.ReasonSchedule: 1, messages.ReasonBase: 0} {
		t.Run(string(kind), func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			var b branch
			b.push(commit(2))
			r := request("base", 1)
			r.Reason, r.NoCache = &messages.Reason{Kind: kind, Link: "a@b"}, kind == messages.ReasonSchedule
			a, pushed := submit(t, c, r), submit(t, c, request("base", 2))
			consume(t, c, work(b.build))
			ended(t, c, a.Build)
			ended(t, c, pushed.Build)
			settled(t, c)
			if report := sweep(t, queueOf(c)); report.Followed != want {
				t.Errorf("the sweep did %+v, want %d", report, want)
			}
		})
	}
}
