package builds_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// madeFrom is what a build pins that is made from the n-th image of its base.
func madeFrom(n int) []messages.PinnedBase {
	return []messages.PinnedBase{{Source: "registry.example.com/ops/debian:13", Image: image(n)}}
}

// pinning is a worker whose n-th build pins the n-th of its bases, and ends as the n-th of the outcomes says.
func pinning(bases []int, outcomes ...func(*messages.BuildRequested) messages.Payload) builds.Work {
	n := 0
	w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		pinned := madeFrom(bases[n])
		outcome := outcomes[n]
		n++
		if err := j.Event(ctx, &messages.BasePinned{BuildRef: j.Request.BuildRef(), Attempt: j.Attempt, Bases: pinned}); err != nil {
			return nil, err
		}
		p := outcome(j.Request)
		if r, ok := p.(*messages.ImageReady); ok {
			r.Ref, r.Bases = j.Request.FullRef(), pinned
		}
		return p, nil
	})
	w.Slots = 1
	return w
}

func imageOf(n int) func(*messages.BuildRequested) messages.Payload {
	return func(r *messages.BuildRequested) messages.Payload {
		p := ready(r)
		p.Image = image(n)
		return p
	}
}

func refused(*messages.BuildRequested) messages.Payload { return failed(messages.FailureUser) }

func builtOn(t *testing.T, c *queue.Client) builds.BuiltOn {
	t.Helper()
	on, err := builds.New(c).BuiltOn(within(t), "base")
	must(t, err)
	if on.Age < 0 || on.Age > testTime {
		t.Errorf("the last request is %v old", on.Age)
	}
	on.Age = 0
	return on
}

func TestWhatAPipelineWasBuiltOn(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	check := func(when string, want builds.BuiltOn) {
		t.Helper()
		if got := builtOn(t, c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", when, got, want)
		}
	}
	check("never built", builds.BuiltOn{})

	first := submit(t, c, request("base", 1))
	check("queued", builds.BuiltOn{Request: 1, Reason: messages.ReasonPush, Waiting: true, Underway: true})

	runs, goOn := make(chan struct{}), make(chan struct{})
	stop := consume(t, c, pinning([]int{5, 6, 7}, func(r *messages.BuildRequested) messages.Payload {
		close(runs)
		<-goOn
		return imageOf(1)(r)
	}, refused))
	<-runs
	check("runs", builds.BuiltOn{Build: first.Build, Order: 1, Ref: mainRef, Bases: madeFrom(5), Request: 1, Reason: messages.ReasonPush, Underway: true})
	close(goOn)
	ended(t, c, first.Build)
	built := builds.BuiltOn{Build: first.Build, Order: 1, Ref: mainRef, Image: image(1), Bases: madeFrom(5), Request: 1, Reason: messages.ReasonPush}
	check("built", built)

	r := request("base", 2)
	r.Reason = &messages.Reason{Kind: messages.ReasonBase, Link: "a@b"}
	second := submit(t, c, r)
	ended(t, c, second.Build)
	stop()
	check("another was refused", builds.BuiltOn{Build: second.Build, Order: 2, Ref: mainRef, Bases: madeFrom(6), Request: 2, Reason: messages.ReasonBase})

	purgeEvents(t, c)
	built.Request, built.Reason = 2, messages.ReasonBase
	check("its events are gone", built)

	submit(t, c, request("base", 3))
	built.Request, built.Reason, built.Waiting, built.Underway = 3, messages.ReasonPush, true, true
	check("a third is queued", built)
}

// purgeEvents drops all events, as their stream does in time.
func purgeEvents(t *testing.T, c *queue.Client) {
	t.Helper()
	for _, typ := range []messages.Type{messages.TypeBasePinned, messages.TypeImageReady} {
		_, err := c.Purge(within(t), c.Space().EventsStream(), c.Space().Filter(typ), 0)
		must(t, err)
	}
}

// TestARetryInItsOldOrderIsNotWhatAPipelineWasBuiltOn: its image replaces none that came later, which still is what its own bases
// made it.
func TestARetryInItsOldOrderIsNotWhatAPipelineWasBuiltOn(t *testing.T) {
	for name, outcomes := range map[string][]func(*messages.BuildRequested) messages.Payload{
		"built":   {refused, imageOf(2), imageOf(3)},
		"refused": {refused, imageOf(2), refused},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			consume(t, c, pinning([]int{5, 6, 7}, outcomes...))
			first := submit(t, c, request("base", 1))
			ended(t, c, first.Build)
			second := submit(t, c, request("base", 2))
			ended(t, c, second.Build)
			retry, err := queueOf(c).Retry(within(t), first.Build, "ann")
			must(t, err)
			ended(t, c, retry.Build)
			want := builds.BuiltOn{Build: second.Build, Order: 2, Ref: mainRef, Image: image(2), Bases: madeFrom(6), Request: 3, Reason: messages.ReasonRetry}
			if got := builtOn(t, c); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

// TestARetryOfTheNewestBuildIsWhatAPipelineWasBuiltOn as nothing came later.
func TestARetryOfTheNewestBuildIsWhatAPipelineWasBuiltOn(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, pinning([]int{5, 6, 7}, imageOf(1), refused, imageOf(3)))
	ended(t, c, submit(t, c, request("base", 1)).Build)
	second := submit(t, c, request("base", 2))
	ended(t, c, second.Build)
	retry, err := queueOf(c).Retry(within(t), second.Build, "ann")
	must(t, err)
	ended(t, c, retry.Build)
	want := builds.BuiltOn{Build: retry.Build, Order: 2, Ref: mainRef, Image: image(3), Bases: madeFrom(7), Request: 3, Reason: messages.ReasonRetry}
	if got := builtOn(t, c); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// TestBasesThatNodesDontFetchAreFollowed has a build of such a base fail: another base may mend it.
func TestBasesThatNodesDontFetchAreFollowed(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		e := &messages.BasePinned{BuildRef: j.Request.BuildRef(), Attempt: j.Attempt, Bases: madeFrom(1), Unfetched: madeFrom(2)}
		if err := j.Event(ctx, e); err != nil {
			return nil, err
		}
		return refused(j.Request), nil
	})
	came, begun := make(chan builds.Pinned, 1), make(chan struct{})
	go func() {
		_ = queueOf(c).FollowBases(t.Context(), func() { close(begun) }, func(p builds.Pinned) { came <- p })
	}()
	<-begun
	consume(t, c, w)
	s := submit(t, c, request("base", 1))
	ended(t, c, s.Build)
	want := slices.Concat(madeFrom(1), madeFrom(2))
	if got := builtOn(t, c).Bases; !slices.Equal(got, want) {
		t.Errorf("it was built on %v, want %v", got, want)
	}
	if got := (<-came).Bases; !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
}

func TestWhatPipelinesAreBuiltOnIsFollowed(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	type told struct {
		pipeline string
		order    uint64
		bases    []messages.PinnedBase
		image    messages.Image
	}
	came, begun := make(chan told, 9), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- queueOf(c).FollowBases(ctx, func() { close(begun) }, func(p builds.Pinned) {
			came <- told{p.Pipeline, p.Order, p.Bases, p.Image}
		})
	}()
	<-begun
	consume(t, c, pinning([]int{5}, imageOf(1)))
	submit(t, c, request("base", 1))
	got := map[messages.Image]told{}
	for range 2 { // of different types, in either order
		one := <-came
		got[one.image] = one
	}
	want := map[messages.Image]told{"": {"base", 1, madeFrom(5), ""}, image(1): {"base", 1, madeFrom(5), image(1)}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestTheBuildOfAnImageIsFound(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, pinning([]int{5}, imageOf(1)))
	a := submit(t, c, request("base", 1))
	ended(t, c, a.Build)
	for i, want := range map[messages.Image]string{
		image(1): a.Build, image(2): "", "elsewhere.example.com/mirror@" + messages.Image(image(1).Digest()): a.Build,
	} {
		if build, err := queueOf(c).ImageOf(within(t), "base", i); err != nil || build != want {
			t.Errorf("%s: %q, %v; want %q", i, build, err, want)
		}
	}
	if build, err := queueOf(c).ImageOf(within(t), "other", image(1)); err != nil || build != "" {
		t.Errorf("of a pipeline without an image: %q, %v", build, err)
	}
}

func TestWhetherANewerImageHasBeenMadeIsKnown(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, pinning([]int{5, 6, 7}, imageOf(1), refused, imageOf(2)))
	var all []string
	for n, newer := range []bool{false, false, true} {
		a := submit(t, c, request("base", n+1))
		ended(t, c, a.Build)
		all = append(all, a.Build)
		e, err := store.Builds(c).Get(within(t), all[0])
		must(t, err)
		if got, err := queueOf(c).NewerImage(within(t), &e.Value); err != nil || got != newer {
			t.Errorf("after %d builds: %t, %v", n+1, got, err)
		}
	}
}

// TestANewerImageOfLongAgoIsKnownToARetry, whose image is not to take the moving tag.
func TestANewerImageOfLongAgoIsKnownToARetry(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, pinning([]int{5, 6, 7}, refused, imageOf(1), imageOf(2)))
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	ended(t, c, submit(t, c, request("base", 2)).Build)
	record := messages.BuildRecord{BuildRef: messages.BuildRef{Build: "other-aaaaaaaa", Pipeline: "other", Order: 2}, State: messages.BuildStateRunning}
	revision, err := store.Builds(c).Create(within(t), record.Build, record)
	must(t, err)
	for record.Attempt = range 600 { // more than are looked at of others
		revision, err = store.Builds(c).Update(within(t), record.Build, record, revision)
		must(t, err)
	}
	retry, err := queueOf(c).Retry(within(t), first.Build, "ann")
	must(t, err)
	r := ended(t, c, retry.Build)
	if newer, err := queueOf(c).NewerImage(within(t), &r); err != nil || !newer {
		t.Errorf("%t, %v", newer, err)
	}
}

// TestABuildIsAskedForAgainUnlessSomethingElseWas meanwhile.
func TestABuildIsAskedForAgainUnlessSomethingElseWas(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	q := queueOf(c)
	again := func(link string, last uint64) (builds.Accepted, error) {
		r := request("base", 1)
		r.Reason = &messages.Reason{Kind: messages.ReasonBase, Link: link}
		return q.RequestAfter(within(t), r, last, "")
	}
	second, err := again("a@b", 1)
	if err != nil || second.Duplicate || second.Order != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	if a, err := again("a@b", 1); !errors.Is(err, queue.ErrMoved) {
		t.Errorf("after another: %+v, %v", a, err)
	}
	if a, err := again("a@b", 2); err != nil || !a.Duplicate || a.Build != second.Build {
		t.Errorf("for the same: %+v, %v", a, err)
	}
	r := request("base", 1)
	r.Reason = &messages.Reason{Kind: messages.ReasonBase, Link: "a@c"}
	for range 2 { // as where the answer was lost
		if a, err := q.RequestAfter(within(t), r, 2, ""); err != nil || a.Duplicate || a.Build != r.Build || a.Order != 3 {
			t.Errorf("for something else: %+v, %v", a, err)
		}
	}
}
