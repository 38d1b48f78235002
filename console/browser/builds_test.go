package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// built makes records of builds that have ended, and asks for one that runs and one that waits.
func (i *installation) built(t *testing.T) (running, queued string) {
	t.Helper()
	for n := range 30 {
		r := messages.BuildRecord{
			BuildRef: messages.BuildRef{Build: fmt.Sprintf("base-%05d", n), Pipeline: "base", Order: uint64(n)}, State: messages.BuildStateSucceeded, Attempt: 1, Worker: "builder-1",
			Commit: buildstest.Commit(n), Ref: "refs/heads/main", Cause: messages.CausePush, Image: image(n), Announced: true,
			Updated: time.Now().UTC().Add(-time.Duration(31-n) * time.Hour), Took: messages.Duration(time.Duration(60+n*n%37) * time.Second),
			Reason: &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: fmt.Sprintf("5f0c2a%02d", n)},
		}
		if n%9 == 8 {
			r.State, r.Image, r.Took = messages.BuildStateFailed, "", messages.Duration(20*time.Second)
			r.Failure = &messages.Failure{
				Class: messages.FailureUser, Reason: "RUN make install: exit status 2", Place: "Dockerfile:3", Fix: "correct the command: its last output is shown",
				Detail: "   2 |     COPY . /src\n   3 | >>> RUN make install\n   4 |     \nmake: *** No rule to make target 'install'.  Stop.",
			}
		}
		_, err := store.Builds(i.admin).Create(queuetest.Within(t), r.Build, r)
		queuetest.Must(t, err)
	}
	ask := func(n int, ref string) string {
		r := buildstest.Request("base", n)
		r.Ref, r.Pipeline.Branches, r.RequestedBy = "refs/heads/"+ref, []string{"**"}, hostile
		r.Pipeline.Repository = "https://github.com/ops/base.git"
		r.Reason = &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: "8e1d77c0"}
		a, err := builds.New(i.admin).Request(queuetest.Within(t), r, "")
		queuetest.Must(t, err)
		return a.Build
	}
	running, queued = ask(101, "main"), ask(102, "feature-x")
	_, err := store.Builds(i.admin).Create(queuetest.Within(t), running, messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: running, Pipeline: "base", Order: 1}, State: messages.BuildStateRunning, Attempt: 1, Worker: "builder-1", Claim: "c", Request: 1,
		Commit: buildstest.Commit(101), Ref: "refs/heads/main", Cause: messages.CausePush, By: "ann", Started: time.Now().UTC(), Received: time.Now().UTC(), Updated: time.Now().UTC(),
		Reason: &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: "8e1d77c0"},
	})
	queuetest.Must(t, err)
	queuetest.Must(t, i.admin.Publish(queuetest.Within(t), "", &messages.BuildStarted{BuildRef: messages.BuildRef{Build: running, Pipeline: "base", Order: 1}, Attempt: 1, Worker: "builder-1"}))
	at := time.Now().UTC()
	i.logs(t, running, "FROM", "[1/3] FROM registry.example.com/debian:12", "", messages.VertexProgress{Started: at})
	i.logs(t, running, "FROM", "[1/3] FROM registry.example.com/debian:12", "sha256:1f… 28 MB", messages.VertexProgress{Output: true})
	i.logs(t, running, "FROM", "[1/3] FROM registry.example.com/debian:12", "", messages.VertexProgress{Started: at, Completed: at.Add(2 * time.Second)})
	i.logs(t, running, "RUN", "[2/3] RUN apt-get install -y libgraphite2-3", "", messages.VertexProgress{Started: at.Add(2 * time.Second)})
	i.logs(t, running, "RUN", "[2/3] RUN apt-get install -y libgraphite2-3", "Reading package lists...\nBuilding dependency tree...", messages.VertexProgress{Output: true})
	return running, queued
}

// logs writes a message of a build's log.
func (i *installation) logs(t *testing.T, build, id, name, text string, p messages.VertexProgress) {
	t.Helper()
	p.ID = id
	queuetest.Must(t, i.admin.Publish(queuetest.Within(t), "", &messages.BuildLog{
		BuildRef: messages.BuildRef{Build: build, Pipeline: "base", Order: 1}, Attempt: 1, Vertex: name, Text: text, Progress: &p,
	}))
}

func TestPagesOfBuildsCanBeUsedByEverybody(t *testing.T) {
	i := newInstallation(t, 6)
	running, queued := i.built(t)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/builds"), has("of 31 builds"), has(queued), has("apt-get install"))
	paths := []string{"/builds", "/builds/" + running, "/builds/" + queued, "/builds/base-00008", "/builds/" + running + "/cancel", "/builds/base-00008/retry", "/builds/none"}
	for _, room := range []string{"light", "dark"} {
		do(ctx, t, scheme(room))
		for _, path := range paths {
			do(ctx, t, chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			_ = ask[int](ctx, t, `document.querySelectorAll("details").forEach(d => d.open = true); 0`)
			usable(ctx, t, path+" in "+room)
		}
	}
	for _, width := range []int64{360, 3840} {
		for _, path := range paths {
			do(ctx, t, chromedp.EmulateViewport(width, 800), chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			_ = ask[int](ctx, t, `document.querySelectorAll("details").forEach(d => d.open = true); 0`)
			if ask[bool](ctx, t, "document.documentElement.scrollWidth > innerWidth") {
				t.Errorf("%s does not fit %d pixels", path, width)
			}
		}
	}
	do(ctx, t, scheme("light"), chromedp.EmulateViewport(1280, 900), chromedp.Navigate(i.url+"/builds"), has("of 31 builds"))
	shot(ctx, t, "console-builds")
}

func TestALogIsFollowedWhereItStands(t *testing.T) {
	i := newInstallation(t, 1)
	running, _ := i.built(t)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(i.url+"/builds/"+running), has("Building dependency tree"), has("begun"))
	shot(ctx, t, "console-build")
	first := `[...document.querySelectorAll("details.step")].find(d => d.textContent.includes("[1/3]"))`
	if ask[bool](ctx, t, first+".open") || !ask[bool](ctx, t, `[...document.querySelectorAll("details.step")].find(d => d.textContent.includes("[2/3]")).open`) {
		t.Error("a step that is done is not folded, or one that runs is")
	}
	do(ctx, t, press("details.step > summary"), until(first+".open"))
	name := "[3/3] RUN " + hostile
	at := time.Now().UTC()
	i.logs(t, running, "RUN", "[2/3] RUN apt-get install -y libgraphite2-3", "Setting up libgraphite2-3", messages.VertexProgress{Output: true})
	do(ctx, t, has("Setting up libgraphite2-3"))
	i.logs(t, running, "RUN", "[2/3] RUN apt-get install -y libgraphite2-3", "", messages.VertexProgress{Started: at, Completed: at.Add(9 * time.Second)})
	i.logs(t, running, "evil", name, "", messages.VertexProgress{Started: at})
	i.logs(t, running, "evil", name, "printed "+hostile, messages.VertexProgress{Output: true})
	do(ctx, t, has("printed <script>"), has(`\x1b[31mred`), has("libgraphite2-3 done, "))
	if !ask[bool](ctx, t, first+".open") {
		t.Error("a step that was opened is folded again")
	}
	if ask[bool](ctx, t, `[...document.querySelectorAll("details.step")].find(d => d.textContent.includes("[2/3]")).open`) {
		t.Error("a step is not folded when it is done")
	}
	if got := ask[string](ctx, t, "document.title"); strings.Contains(got, "own") {
		t.Errorf("a script ran: the title is %q", got)
	}
	if ask[bool](ctx, t, `!!document.querySelector("main script, main img") || document.body.textContent.includes("\x1b")`) {
		t.Error("markup or an escape of a build is in the page")
	}
	_, err := store.Builds(i.admin).Modify(queuetest.Within(t), running, func(r *messages.BuildRecord) error {
		r.State, r.Announced, r.Failure = messages.BuildStateFailed, true, &messages.Failure{Class: messages.FailureUser, Reason: "it ended badly " + hostile}
		return nil
	})
	queuetest.Must(t, err)
	do(ctx, t, has("it ended badly <script>"), has("stopped"), chromedp.WaitReady(`a[href="/builds/`+running+`/retry"]`))
}

// TestALogOf50MB is followed by a page that can be used all the time, and holds no more of it than of any other.
func TestALogOf50MB(t *testing.T) {
	const pieces, piece = 1600, 32 << 10
	i := newInstallation(t, 1)
	running, _ := i.built(t)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/builds/"+running), has("Building dependency tree"))
	text := strings.Repeat(strings.Repeat("<", 126)+"\x1b\n", piece/128)
	for n := range pieces {
		i.logs(t, running, fmt.Sprint(n/100), fmt.Sprintf("[%d/16] RUN make", n/100), text, messages.VertexProgress{Output: true})
		if n == pieces/2 {
			do(ctx, t, has("[7/16] RUN make"), press("details.step > summary"), until(`document.querySelector("details.step").open`))
		}
	}
	i.logs(t, running, "last", "[16/16] RUN echo", "this is the end", messages.VertexProgress{Output: true})
	do(ctx, t, has("this is the end"), has("of what steps wrote are left out"))
	if !ask[bool](ctx, t, `document.querySelector("details.step").open`) {
		t.Error("a step that was opened is folded again")
	}
	if bytes := ask[int](ctx, t, "document.documentElement.outerHTML.length"); bytes > 2<<20 {
		t.Errorf("the page has %d bytes", bytes)
	}
	do(ctx, t, press(`a[href="/builds/`+running+`/cancel"]`), has("What it will do"))
}

func TestABuildIsCancelledAndAskedForAgain(t *testing.T) {
	i := newInstallation(t, 1)
	_, queued := i.built(t)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/builds"), press(`a[href="/builds/`+queued+`/cancel"]`),
		has("What it will do"), chromedp.SendKeys("#reason", "wrong branch"), chromedp.Click("button.decide"), has("Done: Build "+queued+" is cancelled"), has("ada: wrong branch"))
	if e, err := store.Builds(i.admin).Current(t.Context(), queued); err != nil || e.Value.State != messages.BuildStateCancelled {
		t.Errorf("the record is %+v, %v", e.Value, err)
	}
	do(ctx, t, press(`a[href="/builds/`+queued+`/retry"]`), has("What it will do"), chromedp.SendKeys("#reason", "right after all"), chromedp.Click("button.decide"),
		has("is asked for again, as base-"), has("right after all"), has("place in the queue"))
}
