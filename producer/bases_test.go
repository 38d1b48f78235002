package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

const followBase = "rebuild_on: {base: true, token_file: token}"

// TestARegistryTellsOfABase has the CNCF's registry tell of a push, and the pipeline that builds on it built again.
func TestARegistryTellsOfABase(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase, "silent": "", "never": followBase})
	s.push("library/debian:bookworm")
	s.push("library/debian:sid")
	s.builtFrom("app", "library/debian:bookworm")
	s.builtFrom("silent", "library/debian:bookworm")
	s.first("app")
	s.first("silent")
	p, _ := s.producer(io.Discard)
	s.follows(p, "app", 1)

	head := s.repos["app"].Commit(t, "main", map[string]string{"later": "1"}) // nobody told of it
	s.push("library/debian:sid")
	digest := s.push("library/debian:bookworm")
	queuetest.Eventually(t, "app is built again", func() bool { return len(s.requests("app")) == 2 })
	again := s.requests("app")[1]
	want := messages.Reason{Kind: messages.ReasonBase, Link: s.source("library/debian") + "@" + digest, Detail: s.source("library/debian:bookworm")}
	if again.Reason == nil || *again.Reason != want || again.Commit != head || again.Ref != "refs/heads/main" || again.Cause != messages.CausePush {
		t.Errorf("%+v for %+v; want %+v of %s", again, again.Reason, want, head)
	}
	if r := buildstest.Ended(t, s.admin, again.Build); r.Why() != want {
		t.Errorf("the record says %+v", r.Why())
	}
	// What has led to a build leads to no other, and who follows nothing is not built again.
	on, err := p.bases.Builds.BuiltOn(queuetest.Within(t), "app")
	if err != nil || on.Bases[0].Image.Digest() != digest || on.Waiting || on.Underway {
		t.Errorf("%+v, %v", on, err)
	}
	if n := len(s.requests("silent")); n != 1 {
		t.Errorf("silent was asked for %d times", n)
	}
	if n := len(s.requests("never")); n != 0 {
		t.Errorf("what was never built was asked for %d times", n)
	}
}

// TestAnOlderBuildTellsNothingOfThePipeline: one that is tried again takes its base as it is now, but the pipeline's image stays
// what a later one made.
func TestAnOlderBuildTellsNothingOfThePipeline(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase})
	digest := s.push("library/debian:bookworm")
	s.builtFrom("app", "library/debian:bookworm")
	s.first("app")
	p, _ := s.producer(io.Discard)
	s.follows(p, "app", 1)
	on, err := p.bases.Builds.BuiltOn(queuetest.Within(t), "app")
	if err != nil || on.Order == 0 {
		t.Fatalf("%+v, %v", on, err)
	}
	p.bases.pinned(builds.Pinned{Pipeline: "app", Order: on.Order - 1, Bases: nil})
	p.bases.mu.Lock()
	defer p.bases.mu.Unlock()
	if got := p.bases.pipelines["app"].bases; len(got) != 1 || got[0].Image.Digest() != digest {
		t.Errorf("the pipeline is taken for built on %v", got)
	}
}

// TestSeveralProducersAskOnce has three producers see the same change, and looks at the requests.
func TestSeveralProducersAskOnce(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase})
	s.push("library/debian:bookworm")
	s.builtFrom("app", "library/debian:bookworm")
	s.first("app")
	var all []*Producer
	for range 3 {
		p, _ := s.producer(io.Discard)
		s.follows(p, "app", 1)
		all = append(all, p)
	}
	release := s.held("app") // so that none finds it built
	defer release()
	s.push("library/debian:bookworm")
	done := make(chan error, len(all))
	for _, p := range all {
		go func() {
			f := func() *followedPipeline {
				p.bases.mu.Lock()
				defer p.bases.mu.Unlock()
				return p.bases.pipelines["app"]
			}()
			for _, source := range p.bases.sourcesOf("app") {
				_ = p.bases.lookNow(t.Context(), source)
			}
			_, err := p.bases.rebuild(t.Context(), f)
			done <- err
		}()
	}
	for range all {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	queuetest.Eventually(t, "it is asked for", func() bool { return len(s.requests("app")) > 1 })
	release()
	buildstest.Ended(t, s.admin, s.requests("app")[1].Build)
	for _, p := range all {
		p.bases.forget()
		s.follows(p, "app", 1)
	}
	if n := len(s.requests("app")); n != 2 {
		t.Errorf("three producers asked %d times", n-1)
	}
}

// TestWhatACrashLeftIsAskedForByTheNext stops the producer that saw the change before it asks for anything.
func TestWhatACrashLeftIsAskedForByTheNext(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase})
	s.push("library/debian:bookworm")
	s.builtFrom("app", "library/debian:bookworm")
	s.first("app")
	p, stop := s.producer(io.Discard)
	s.follows(p, "app", 1)
	stop()
	s.told.Store(nil)
	digest := s.push("library/debian:bookworm")
	for _, source := range p.bases.sourcesOf("app") { // it looks, stores what it saw, and is gone
		if err := p.bases.lookNow(t.Context(), source); err != nil && !errors.Is(err, errLater) { // either is stored
			t.Fatal(err)
		}
	}
	if n := len(s.requests("app")); n != 1 {
		t.Fatalf("%d requests before the restart", n)
	}
	s.producer(io.Discard)
	queuetest.Eventually(t, "the next producer asks", func() bool { return len(s.requests("app")) == 2 })
	if r := s.requests("app")[1].Reason; r == nil || r.Link != s.source("library/debian")+"@"+digest {
		t.Errorf("for %+v", r)
	}
}

// TestAnotherPipelinesImageIsFollowed has ten images of one pipeline in a row make one build of the one that is built on it.
func TestAnotherPipelinesImageIsFollowed(t *testing.T) {
	s := newBaseSite(t, map[string]string{"lower": "", "upper": "rebuild_on: {settle: 10m}", "still": "rebuild_on: {pipeline: false}", "pinned": ""})
	s.push("own/lower:latest")
	s.fixed[s.source("own/lower:fixed")] = true
	s.push("own/lower:fixed")
	s.builtFrom("upper", "own/lower:latest")
	s.builtFrom("still", "own/lower:latest")
	s.builtFrom("pinned", "own/lower:fixed")
	for _, name := range []string{"lower", "upper", "still", "pinned"} {
		s.first(name)
	}
	p, _ := s.producer(io.Discard)
	s.follows(p, "upper", 1)
	s.follows(p, "pinned", 0)
	var last messages.BuildRecord
	for range 10 {
		last = s.first("lower")
	}
	queuetest.Eventually(t, "the last one is seen", func() bool {
		p.bases.mu.Lock()
		defer p.bases.mu.Unlock()
		return p.bases.pipelines["upper"].outstanding[s.source("own/lower:latest")] != "" && p.bases.sources[s.source("own/lower:latest")].digest == last.Image.Digest()
	})
	if n := len(s.requests("upper")); n != 1 {
		t.Errorf("upper was asked for %d times while lower's images came", n)
	}
	p.bases.mu.Lock()
	p.bases.pipelines["upper"].fire = time.Now() // as when they have come to rest
	p.bases.changed()
	p.bases.mu.Unlock()
	queuetest.Eventually(t, "upper is built again", func() bool { return len(s.requests("upper")) == 2 })
	r := s.requests("upper")[1]
	want := messages.Reason{Kind: messages.ReasonCascade, Link: last.Build, Detail: s.source("own/lower:latest")}
	if r.Reason == nil || *r.Reason != want {
		t.Errorf("for %+v; want %+v", r.Reason, want)
	}
	buildstest.Ended(t, s.admin, r.Build)
	p.bases.forget()
	s.follows(p, "upper", 1)
	for name, want := range map[string]int{"upper": 2, "still": 1, "pinned": 1} {
		if n := len(s.requests(name)); n != want {
			t.Errorf("%s was asked for %d times; want %d", name, n, want)
		}
	}
}

// TestACircleOfImagesEnds has two pipelines build on each other's image, and one on its own.
func TestACircleOfImagesEnds(t *testing.T) {
	s := newBaseSite(t, map[string]string{"a": "rebuild_on: {settle: 1s}", "b": "rebuild_on: {settle: 1s}", "self": "rebuild_on: {settle: 1s}", "free": "rebuild_on: {settle: 1s}"})
	for _, name := range []string{"a", "b", "self"} {
		s.push("own/" + name + ":latest")
	}
	s.builtFrom("a", "own/b:latest")
	s.builtFrom("b", "own/a:latest")
	s.builtFrom("self", "own/self:latest")
	s.builtFrom("free", "own/a:latest")
	for _, name := range []string{"self", "a", "b", "free"} {
		s.first(name)
	}
	out := &queuetest.Output{}
	p, _ := s.producer(out)
	for _, name := range []string{"a", "b", "self", "free"} {
		s.follows(p, name, 1)
	}
	s.first("a")
	s.first("self")
	queuetest.Eventually(t, "who is not of the circle is built", func() bool { return len(s.requests("free")) == 2 })
	for name, want := range map[string]int{"a": 2, "b": 1, "self": 2} {
		if n := len(s.requests(name)); n != want {
			t.Errorf("%s was asked for %d times; want %d", name, n, want)
		}
	}
	p.bases.mu.Lock()
	defer p.bases.mu.Unlock()
	if fmt.Sprint(len(p.bases.circles)) == "0" {
		t.Errorf("nothing is told of the circle:\n%s", out)
	}
}

// TestAPipelineThatIsGoneIsNotFollowedLate has what was read of it come when it is not in the file any more.
func TestAPipelineThatIsGoneIsNotFollowedLate(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	b := newBaseFollower(p, Bases{})
	b.takeForce()
	gone, bases := b.pipelines["base"], []messages.PinnedBase{{Source: "registry.example.com/exampleco/tools:latest"}}
	b.setBases(gone, bases)
	if len(b.sources) != 1 {
		t.Fatalf("it follows %v", b.sources)
	}
	p.force(load(t, strings.Replace(testFile, "- name: base\n", "- name: other\n", 1)))
	b.takeForce()
	b.setBases(gone, bases)
	if changed, _ := b.changes(gone); len(b.sources) != 0 || len(changed) != 0 {
		t.Errorf("nobody is left who follows %v", b.sources)
	}
	b.setBases(b.pipelines["other"], bases)
	b.setBases(gone, bases)
	if len(b.sources) != 1 || len(b.pipelines["other"].bases) != 1 {
		t.Errorf("another follows %v", b.sources)
	}
}

// TestWhatWasBuiltOnIsReadOnceBuildsAreHeard: what was read before, or while that began, may be older than what is not heard of any
// more.
func TestWhatWasBuiltOnIsReadOnceBuildsAreHeard(t *testing.T) {
	b := newBaseFollower(newProducer(t, &memoryQueue{}, zerolog.Nop()), Bases{})
	ctx, cancel := context.WithCancel(t.Context())
	queuetest.Must(t, b.turns.Acquire(ctx, basesAtOnce)) // what begins gets no further
	var all sync.WaitGroup
	b.step(ctx, &all)
	f := b.pipelines["base"]
	before := f.heard
	if f.busy {
		t.Error("it is read before builds are heard")
	}
	b.forget()
	b.step(ctx, &all)
	b.mu.Lock()
	if !f.busy || f.heard == before {
		t.Errorf("read is %v, and what was under way counts: %v", f.busy, f.heard == before)
	}
	b.mu.Unlock()
	cancel()
	all.Wait()
}
