package builds_test

import (
	"context"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// conditional is the n-th request of a schedule that has a commit built only if something has changed.
func conditional(commit, n int) *messages.BuildRequested {
	r := request("base", commit)
	r.Reason = &messages.Reason{Kind: messages.ReasonSchedule, Link: string(rune('a' + n)), Detail: "@daily UTC"}
	r.NoCache, r.OnlyIf = true, messages.OnlyIfChanged
	return r
}

// unchanging is a worker that builds what has no condition, and of the rest says what was built last. Its look can be told
// that something has changed.
func unchanging(changed bool) (w builds.Work, looked <-chan *builds.LastImage) {
	looks := make(chan *builds.LastImage, 100)
	w = work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.OnlyIf == "" || j.Wanted {
			return succeed(ctx, j)
		}
		last, err := j.LastImage(ctx)
		if err != nil {
			return nil, err
		}
		looks <- last
		if !changed {
			return &messages.BuildCancelled{Unchanged: "nothing has changed since " + last.Build}, nil
		}
		j.Changed("a base", "00ff")
		return succeed(ctx, j)
	})
	return w, looks
}

// TestABuildForWhichNothingHasChanged is over, is none of the branch's images, and answers who tells of its commit.
func TestABuildForWhichNothingHasChanged(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	w, looked := unchanging(false)
	consume(t, c, w)
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	a := submit(t, c, conditional(1, 1))
	if a.Duplicate {
		t.Fatalf("it is taken for a duplicate: %+v", a)
	}
	r := ended(t, c, a.Build)
	if r.State != messages.BuildStateUnchanged || r.Unchanged != "nothing has changed since "+first.Build || r.Image != "" || r.Failure != nil || r.Why().Changed != "" {
		t.Errorf("record is %+v", r)
	}
	if last := <-looked; last.Build != first.Build || last.Image == "" || last.Pipeline == nil || last.Commit != r.Commit || last.After != "" {
		t.Errorf("the last image is %+v", last)
	}
	settled(t, c)
	if got := endings(t, c); got["image.ready "+first.Build] != 1 || got["build.cancelled "+a.Build] != 1 || len(got) != 2 {
		t.Errorf("events are %v", got)
	}
	if on, err := builds.New(c).BuiltOn(within(t), "base"); err != nil || on.Build != first.Build || on.Underway || on.Waiting {
		t.Errorf("the pipeline was built on %+v, %v", on, err)
	}
	if again := submit(t, c, request("base", 1)); !again.Duplicate {
		t.Errorf("the commit that is told of again has another build: %+v", again)
	}
	poll := request("base", 1)
	poll.Reason = &messages.Reason{Kind: messages.ReasonPoll}
	if again, err := builds.New(c).RequestHead(within(t), poll, ""); err != nil || !again.Duplicate {
		t.Errorf("the head that is found has another build: %+v, %v", again, err)
	}
	report, err := builds.New(c).Sweep(within(t))
	if err != nil || report.Requeued+report.Followed+report.Announced > 0 {
		t.Errorf("a sweep found something left to do: %+v, %v", report, err)
	}
	retry, err := builds.New(c).Retry(within(t), a.Build, "ann")
	must(t, err)
	if r := ended(t, c, retry.Build); r.State != messages.BuildStateSucceeded || r.OnlyIf != "" {
		t.Errorf("asked for again by a person it ended as %+v", r)
	}
}

// TestWhatHadChangedIsInTheRecord where it is built for that.
func TestWhatHadChangedIsInTheRecord(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	w, looked := unchanging(true)
	consume(t, c, w)
	r := ended(t, c, submit(t, c, conditional(1, 1)).Build)
	if r.State != messages.BuildStateSucceeded || r.Why().Changed != "a base" || r.Why().Detail != "@daily UTC" || r.Updates != "00ff" {
		t.Errorf("record is %+v", r)
	}
	if last := <-looked; last.Build != "" || last.After != "" {
		t.Errorf("before the first, the last image is %+v", last)
	}
	r2 := ended(t, c, submit(t, c, conditional(1, 2)).Build)
	if last := <-looked; last.Build != r.Build || last.Updates != "00ff" || r2.State != messages.BuildStateSucceeded {
		t.Errorf("after it the last image is %+v", last)
	}
}

// TestTheLastImageOfABranch is none of another branch or pipeline; and a later build that failed, or has not ended, is said.
func TestTheLastImageOfABranch(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	put := func(order uint64, pipeline, ref string, state messages.BuildState) string {
		r := messages.BuildRecord{State: state, Ref: ref, Commit: strings.Repeat("1", 40), Announced: true}
		r.Build, r.Pipeline, r.Order = messages.NewBuildID(pipeline), pipeline, order
		if state == messages.BuildStateSucceeded {
			r.Image = image(int(order))
		}
		_, err := store.Builds(c).Create(within(t), r.Build, r)
		must(t, err)
		return r.Build
	}
	main, next := "refs/heads/main", "refs/heads/next"
	put(0, "base", main, messages.BuildStateSucceeded)
	look := func(when, build, after string) {
		t.Helper()
		w, looked := unchanging(false)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- builds.New(c).Consume(ctx, w) }()
		ended(t, c, submit(t, c, conditional(1, len(when))).Build)
		stop()
		<-over
		if last := <-looked; last.Build != build || !strings.Contains(last.After, after) || after == "" && last.After != "" {
			t.Errorf("%s: %+v; want %s, %q", when, last, build, after)
		}
	}
	put(0, "base", main, messages.BuildStateFailed)
	put(0, "base", next, messages.BuildStateSucceeded)
	put(0, "other", main, messages.BuildStateSucceeded)
	mine := put(1, "base", main, messages.BuildStateSucceeded)
	put(2, "base", main, messages.BuildStateCancelled)
	put(2, "base", main, messages.BuildStateSuperseded)
	put(2, "base", next, messages.BuildStateFailed)
	look("an image", mine, "")
	failed := put(3, "base", main, messages.BuildStateFailed)
	look("a failed one after it", mine, failed+", failed")
}

// TestABuildThatHasNotEndedIsSaid of the branch's, before another one is skipped.
func TestABuildThatHasNotEndedIsSaid(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	w, looked := unchanging(false)
	hold := make(chan struct{})
	build := w.Build
	w.Slots = 2
	w.Build = func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit == request("base", 2).Commit {
			<-hold
		}
		return build(ctx, j)
	}
	consume(t, c, w)
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	running := submit(t, c, request("base", 2))
	ended(t, c, submit(t, c, conditional(1, 1)).Build)
	if last := <-looked; last.Build != first.Build || !strings.Contains(last.After, running.Build+" of the branch has not ended") {
		t.Errorf("beside it the last image is %+v", last)
	}
	close(hold)
	ended(t, c, running.Build)
}

// TestABuildThatEndsDuringTheLook is seen as one that has not ended, or as the last image.
func TestABuildThatEndsDuringTheLook(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit == commit(2) {
			close(began)
			<-goOn
		}
		return succeed(ctx, j)
	}))
	ended(t, c, submit(t, c, request("base", 1)).Build)
	running := submit(t, c, request("base", 2))
	<-began

	p := s.Proxy(t)
	w, looked := unchanging(false)
	look := w.Build
	looks := make(chan (<-chan struct{}), 1)
	w.Build = func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		looks <- p.HoldAt("CONSUMER.CREATE." + c.Space().RequestsStream())
		return look(ctx, j)
	}
	consume(t, s.Connect(t, through(p)), w)
	submit(t, c, conditional(1, 1))
	<-<-looks // the requests are about to be read
	close(goOn)
	ended(t, c, running.Build)
	p.Release()
	if last := <-looked; last.Build != running.Build && last.After == "" {
		t.Errorf("the last image is %+v", last)
	}
}

// TestAPersonHasItBuiltAfterAll who asked, by a program that knows of no conditions, while it was looked at.
func TestAPersonHasItBuiltAfterAll(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	looking, goOn := make(chan struct{}, 10), make(chan struct{})
	w, _ := unchanging(false)
	build := w.Build
	w.Build = func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		looking <- struct{}{}
		<-goOn
		return build(ctx, j)
	}
	consume(t, c, w)
	a := submit(t, c, conditional(1, 1))
	<-looking
	_, err := store.Builds(c).Modify(within(t), a.Build, func(r *messages.BuildRecord) error {
		r.WantedBy = "ann"
		return nil
	})
	must(t, err)
	close(goOn)
	if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 {
		t.Errorf("it ended as %s in attempt %d", r.State, r.Attempt)
	}
}

// TestAPushOfACommitThatIsQueuedOnAConditionIsBuilt as a build of its own, once, whatever becomes of the other; a push that
// is told of again after that is the first one's.
func TestAPushOfACommitThatIsQueuedOnAConditionIsBuilt(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	first := submit(t, c, conditional(1, 1))
	push := submit(t, c, request("base", 1))
	if push.Duplicate || push.Build == first.Build {
		t.Fatalf("the push is %+v, and the schedule's %+v", push, first)
	}
	again := submit(t, c, conditional(1, 2))
	if told := submit(t, c, request("base", 1)); !told.Duplicate || told.Build != push.Build {
		t.Errorf("told of again it is %+v, not build %s", told, push.Build)
	}
	w, _ := unchanging(false)
	consume(t, c, w)
	if r := ended(t, c, push.Build); r.State != messages.BuildStateSucceeded || r.OnlyIf != "" {
		t.Errorf("the push ended as %+v", r)
	}
	for _, build := range []string{first.Build, again.Build} {
		if r := ended(t, c, build); r.State != messages.BuildStateUnchanged {
			t.Errorf("the schedule's ended as %+v", r)
		}
	}
	if told := submit(t, c, request("base", 1)); !told.Duplicate || told.Build != push.Build {
		t.Errorf("told of again after the end it is %+v, not build %s", told, push.Build)
	}
	if other := submit(t, c, request("base", 2)); other.Duplicate {
		t.Errorf("another push is %+v", other)
	}
}
