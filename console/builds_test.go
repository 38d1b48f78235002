package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
)

// ended makes the record of a build of pipeline base that has ended.
func (s *site) ended(t *testing.T, n int, state messages.BuildState, change func(*messages.BuildRecord)) string {
	t.Helper()
	r := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: fmt.Sprintf("base-%05d", n), Pipeline: "base", Order: uint64(n)}, State: state, Attempt: 1, Worker: "b1", Request: uint64(n),
		Commit: buildstest.Commit(n), Ref: "refs/heads/main", Cause: messages.CausePush, Reason: &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: "https://forge.example.com/deliveries/1"},
		Announced: true, Updated: time.Now().UTC().Add(time.Duration(n) * time.Second), Took: messages.Duration(time.Duration(n+1) * time.Second),
	}
	if change != nil {
		change(&r)
	}
	_, err := store.Builds(s.admin).Create(queuetest.Within(t), r.Build, r)
	queuetest.Must(t, err)
	return r.Build
}

// asked asks for a build of pipeline base.
func (s *site) asked(t *testing.T, n int, change func(*messages.BuildRequested)) string {
	t.Helper()
	r := buildstest.Request("base", n)
	if change != nil {
		change(r)
	}
	a, err := builds.New(s.admin).Request(queuetest.Within(t), r, "")
	queuetest.Must(t, err)
	return a.Build
}

// claimed makes a build that is asked for one that a worker has.
func (s *site) claimed(t *testing.T, build string) {
	t.Helper()
	r, err := builds.New(s.admin).RequestOf(queuetest.Within(t), build)
	queuetest.Must(t, err)
	_, err = store.Builds(s.admin).Create(queuetest.Within(t), build, messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: build, Pipeline: r.Pipeline.Name, Order: 1}, State: messages.BuildStateRunning, Attempt: 2, Worker: "b1", Claim: "c", Request: 1,
		Commit: r.Commit, Ref: r.FullRef(), Cause: r.Cause, Started: time.Now().UTC(), Updated: time.Now().UTC(),
	})
	queuetest.Must(t, err)
}

// logged writes a message of a build's log.
func (s *site) logged(t *testing.T, build string, l messages.BuildLog) {
	t.Helper()
	l.BuildRef, l.Attempt = messages.BuildRef{Build: build, Pipeline: "base", Order: 1}, 2
	queuetest.Must(t, s.admin.Publish(queuetest.Within(t), "", &l))
}

func wrote(id, name, text string) messages.BuildLog {
	return messages.BuildLog{Vertex: name, Text: text, Progress: &messages.VertexProgress{ID: id, Output: true}}
}

func TestBuildsAreListedByWhatIsAskedFor(t *testing.T) {
	s := newSite(t)
	running := s.asked(t, 1, nil)
	s.claimed(t, running)
	queued := s.asked(t, 2, func(r *messages.BuildRequested) {
		r.RequestedBy, r.Reason = hostile, &messages.Reason{Kind: messages.ReasonPush, Detail: hostile, Link: "javascript:alert(1)"}
	})
	s.logged(t, running, wrote("1", "[2/3] RUN make "+hostile, "x"))
	for n := range 120 {
		state := messages.BuildStateSucceeded
		if n%10 == 3 {
			state = messages.BuildStateFailed
		}
		s.ended(t, n, state, func(r *messages.BuildRecord) {
			if n == 77 {
				r.Ref = "refs/heads/odd"
			}
			if n == 50 {
				r.Pipeline = "other"
			}
		})
	}
	ada, vera := s.as(t, "ada"), s.as(t, "vera")
	ada.until(t, "/builds", "the page has all", func(a answer) bool {
		return strings.Contains(a.body, "1 to 50 of 120 builds") && strings.Contains(a.body, queued) && strings.Contains(a.body, "Place 1 of 1, likely to begin")
	})
	stream := ada.listen(t, streamOf(t, ada.get(t, "/builds")))
	await(t, stream, "RUN make")
	a := ada.get(t, "/builds")
	for _, want := range []string{
		"attempt 2 on b1", "likely to end", `href="/builds/` + running + `/cancel"`, "base-00119", "Earlier ones", `href="https://forge.example.com/deliveries/1" rel="noopener noreferrer"`,
		`<svg class="durations" role="img"`, "<desc", `The same as a table: base`, "javascript:alert(1)", "half within",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"<script>alert", "\x1b", `href="javascript`, "base-00001"} {
		if strings.Contains(a.body, no) {
			t.Errorf("the page has %q", no)
		}
	}
	for path, want := range map[string][]string{
		"/builds?page=3": {"101 to 120 of 120 builds", "base-00000", "Later ones"}, "/builds?state=failed": {"1 to 12 of 12 builds"}, "/builds?state=none": {"of 120 builds"},
		"/builds?text=ODD": {"1 to 1 of 1 build", "base-00077"}, "/builds?pipeline=other": {"1 to 1 of 1 build", "base-00050"}, "/builds?pipeline=none": {"No build is like that"},
		"/builds?page=9999999999999": {"of 120 builds"}, "/builds?page=400": {"of 120 builds"}, "/builds?text=" + url.QueryEscape(hostile): {"No build is like that"},
	} {
		a := vera.get(t, path)
		for _, w := range want {
			if !strings.Contains(a.body, w) {
				t.Errorf("%s lacks %q:\n%s", path, w, a.body)
			}
		}
		if strings.Contains(a.body, "/cancel") || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s shows a viewer decisions, or runs what was asked for", path)
		}
	}
	s.ended(t, 500, messages.BuildStateFailed, func(r *messages.BuildRecord) {
		r.Failure = &messages.Failure{Class: messages.FailureUser, Reason: "no shebang"}
	})
	await(t, stream, "no shebang")
}

// TestTenThousandEndedBuildsAreHeldInShort: what is kept of each is bounded, and how many.
func TestTenThousandEndedBuildsAreHeldInShort(t *testing.T) {
	r := messages.BuildRecord{BuildRef: messages.BuildRef{Build: "base-1"}, State: messages.BuildStateFailed, Failure: &messages.Failure{Reason: strings.Repeat("why ", 10_000)}, LastError: strings.Repeat("x", 8000)}
	if b := endedOf(&r, &texts{}); len(b.Why) > whyMost+10 {
		t.Errorf("%d bytes of why are kept", len(b.Why))
	}
	l := newEndedBuilds(nil, func(*messages.BuildRecord) {})
	for n := range endedMost + 100 {
		l.add(uint64(n+1), &messages.BuildRecord{BuildRef: messages.BuildRef{Build: fmt.Sprintf("base-%d", n), Order: uint64(n)}, State: messages.BuildStateSucceeded, Updated: time.Unix(int64(n), 0)})
	}
	l.add(1<<30, &messages.BuildRecord{BuildRef: messages.BuildRef{Build: "base-20050", Order: 20050}, State: messages.BuildStateSucceeded, Updated: time.Unix(1<<30, 0)})
	l.trim()
	p := l.page(&buildFilter{Page: 1})
	if p.Total != endedMost || !p.More || p.Builds[0].Build != "base-20050" || p.Builds[1].Build != "base-20099" || len(l.by) != endedMost {
		t.Errorf("%d builds, more: %t, the first is %s", p.Total, p.More, p.Builds[0].Build)
	}
}

// TestPagesOfBuildsShareWhatTheyShow: builds are looked through once for each filter and change, however many pages show them, and
// not when a build has changed that they don't show.
func TestPagesOfBuildsShareWhatTheyShow(t *testing.T) {
	s := newSite(t)
	s.ended(t, 1, messages.BuildStateFailed, nil)
	c, vera := s.it, s.as(t, "vera")
	vera.until(t, "/builds", "it is there", says("base-00001"))
	made := func(f buildFilter) (html string) {
		_ = c.endedPart(&f)
		c.endings.mu.Lock()
		defer c.endings.mu.Unlock()
		m, known := c.endings.made[partKey{"ended", f.query(f.Page), false}]
		if now := c.seen.ended.now(); !known || m.clock != now {
			t.Errorf("of filter %+v what was made at %d is kept, it is %d now", f, m.clock, now)
		}
		return string(m.html)
	}
	first := made(buildFilter{Text: "base", Page: 1})
	if again := made(buildFilter{Text: "base", Page: 1}); unsafe.StringData(again) != unsafe.StringData(first) {
		t.Error("a second page looks through them again")
	}
	if other := made(buildFilter{Text: "none", Page: 1}); !strings.Contains(other, "No build is like that") {
		t.Errorf("another filter shows %s", other)
	}
	for n := range 2 * maxEndedParts {
		made(buildFilter{Text: fmt.Sprint("none", n), Page: 1})
	}
	if n := len(c.endings.made); n > maxEndedParts {
		t.Errorf("%d are kept", n)
	}
	clock := c.seen.ended.now()
	s.claimed(t, s.asked(t, 5, nil))
	vera.until(t, "/builds", "it runs", says("Attempt 2 on b1"))
	queuetest.Eventually(t, "its record was read", func() bool {
		c.seen.ended.mu.RLock()
		defer c.seen.ended.mu.RUnlock()
		return c.seen.ended.next > 2
	})
	if now := c.seen.ended.now(); now != clock {
		t.Errorf("the list was made again for a build that is not on it: %d, then %d", clock, now)
	}
	stream := vera.listen(t, streamOf(t, vera.get(t, "/builds?text=base")))
	await(t, stream, "base-00001")
	s.ended(t, 2, messages.BuildStateFailed, nil)
	await(t, stream, "base-00002")
}

// TestABuildIsReadFromTheLeader: its page is read anew when the record has changed, which another replica may not have yet.
func TestABuildIsReadFromTheLeader(t *testing.T) {
	s := newSiteAt(t, func(o *server.Options) {
		for _, u := range o.Users {
			if u.Username == "console" {
				u.Permissions.Publish.Deny = append(u.Permissions.Publish.Deny, "$JS.API.DIRECT.GET.KV_fenceline-builds.>")
			}
		}
	})
	ready, err := messages.Encode(messages.Envelope{ID: "1", Source: "test", Time: time.Now()}, &messages.ImageReady{BuildRef: messages.BuildRef{Build: "base-00001", Pipeline: "base", Order: 1}, Image: imageOf(3), Tag: "odd-tag"})
	queuetest.Must(t, err)
	build := s.ended(t, 1, messages.BuildStateSucceeded, func(r *messages.BuildRecord) { r.Outcome = &ready })
	if a := s.as(t, "vera").get(t, "/builds/"+build); a.status != http.StatusOK || !strings.Contains(a.body, "succeeded") || !strings.Contains(a.body, "odd-tag") {
		t.Errorf("its page: %d\n%s", a.status, a.body)
	}
}

func TestABuildAndItsLog(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	build := s.asked(t, 1, func(r *messages.BuildRequested) { r.Pipeline.Repository = "https://github.com/ops/base.git" })
	s.claimed(t, build)
	s.moving(t, "production", messages.RolloutPreloading, func(r *messages.RolloutRecord) { r.Ready.Build = build })
	queuetest.Must(t, s.admin.Publish(queuetest.Within(t), "", &messages.BuildStarted{BuildRef: messages.BuildRef{Build: build, Pipeline: "base", Order: 1}, Attempt: 2, Worker: hostile}))
	at := time.Now()
	s.logged(t, build, messages.BuildLog{Vertex: "[1/2] FROM base", Progress: &messages.VertexProgress{ID: "1", Started: at}})
	s.logged(t, build, messages.BuildLog{Vertex: "[1/2] FROM base", Progress: &messages.VertexProgress{ID: "1", Started: at, Completed: at.Add(2 * time.Second)}})
	s.logged(t, build, wrote("2", "[2/2] RUN "+hostile, "compiling "+hostile))
	ada := s.as(t, "ada")
	a := ada.until(t, "/builds/"+build, "its rollout is known", says("/rollouts/"))
	for _, want := range []string{
		"running", "attempt", "b1", `href="https://github.com/ops/base/commit/` + buildstest.Commit(1) + `"`, "Attempt 2 on &lt;script&gt;", "[1/2] FROM base", "done, 2s",
		`class="step running" data-into="log" open`, `compiling &lt;script&gt;alert(1)&lt;/script&gt;`, `\x1b[2J`, `href="/builds/` + build + `/cancel"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "\x1b") {
		t.Error("what the build wrote is obeyed")
	}
	stream := ada.listen(t, streamOf(t, a))
	await(t, stream, "compiling")
	s.logged(t, build, wrote("2", "[2/2] RUN "+hostile, "linking"))
	await(t, stream, "linking")
	_, err := store.Builds(s.admin).Modify(queuetest.Within(t), build, func(r *messages.BuildRecord) error {
		r.State, r.Announced = messages.BuildStateFailed, true
		r.Failure = &messages.Failure{
			Class: messages.FailureUser, Reason: "RUN make: exit status 1", Place: "Dockerfile:3", Detail: "   2 | FROM base\n   3 | >>> RUN make " + hostile, Fix: "correct the command",
			Findings: []messages.Finding{{File: "pre-start", Line: 3, Column: 2, Problem: hostile, Fix: "add fi", Warning: true}},
		}
		return nil
	})
	queuetest.Must(t, err)
	await(t, stream, "RUN make: exit status 1")
	a = ada.until(t, "/builds/"+build, "what ran is stopped", says("stopped"))
	for _, want := range []string{"Dockerfile:3", "&gt;&gt;&gt; RUN make &lt;script", "warning: <code>pre-start:3:2</code>", "Fix: add fi", "fix: correct the command", `/retry"`, "linking"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page of the failed build lacks %q:\n%s", want, a.body)
		}
	}
	for path, status := range map[string]int{"/builds/base-none": http.StatusNotFound, "/builds/..%2f": http.StatusNotFound, "/builds/base-none/events": http.StatusNotFound, "/builds/" + build + "/none": http.StatusNotFound, "/builds/base-none/cancel": http.StatusNotFound} {
		if a := ada.get(t, path); a.status != status {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// TestALongLogIsShownInPart, and the page says so, and how to see all.
func TestALongLogIsShownInPart(t *testing.T) {
	s := newSite(t)
	build := s.ended(t, 1, messages.BuildStateSucceeded, nil)
	line := strings.Repeat("x", 2000)
	for n := range logHead + logTail + 200 {
		l := wrote(fmt.Sprint(n/20), fmt.Sprintf("[%d] RUN step", n/20), fmt.Sprintf("%d %s", n, line))
		l.BuildRef = messages.BuildRef{Build: build, Pipeline: "base", Order: 1}
		queuetest.Must(t, s.admin.Publish(t.Context(), "", &l)) // none is lost, and all are stored
	}
	last := fmt.Sprint(logHead + logTail + 199)
	a := s.as(t, "vera").until(t, "/builds/"+build, "the end of the log is there", says(last+" xxx"))
	if len(a.body) > 1<<20 {
		t.Errorf("the page has %d bytes", len(a.body))
	}
	for _, want := range []string{"200 messages between its beginning and its end were not read", "of what steps wrote are left out", "fenceline logs " + build, "Here 200 messages are left out."} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestALogOf50MBIsFollowed while it is written: no more of it is kept than of any other, and a page gets no more at once than it
// shows, however much was written since it got something last.
func TestALogOf50MBIsFollowed(t *testing.T) {
	const pieces, piece = 1600, 32 << 10
	s := newSite(t)
	build := s.asked(t, 1, nil)
	s.claimed(t, build)
	vera := s.as(t, "vera")
	s.logged(t, build, wrote("first", "[1/9] RUN echo", "begun"))
	page := vera.until(t, "/builds/"+build, "it is followed", says("begun"))
	stream := vera.listen(t, streamOf(t, page))
	text := strings.Repeat(strings.Repeat("<", 126)+"\x1b\n", piece/128)
	go func() {
		for n := range pieces {
			l := wrote(fmt.Sprint(n/100), fmt.Sprintf("[%d/99] RUN make", n/100), text)
			l.BuildRef, l.Attempt = messages.BuildRef{Build: build, Pipeline: "base", Order: 1}, 2
			if err := s.admin.Publish(t.Context(), "", &l); err != nil {
				t.Errorf("piece %d: %v", n, err)
			}
		}
		l := wrote("last", "[100/100] RUN echo", "this is the end")
		l.BuildRef, l.Attempt = messages.BuildRef{Build: build, Pipeline: "base", Order: 1}, 2
		if err := s.admin.Publish(t.Context(), "", &l); err != nil {
			t.Error(err)
		}
	}()
	sent, events := 0, 0
	for e := ""; !strings.Contains(e, "this is the end"); events++ {
		e = await(t, stream, "")
		sent = max(sent, len(e))
	}
	f := s.it.seen.logs.all[build]
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, made := 0, 0
	for _, step := range f.log.Steps {
		kept += len(step.Text())
	}
	for _, m := range f.made {
		made += len(m.part.html)
	}
	if f.log.Cut < 49<<20 || kept > 300<<10 || made > 1<<20 || sent > 1<<20 {
		t.Errorf("of %d bytes %d are cut, %d are kept, as %d of markup, and a page got %d at once in one of %d events", pieces*piece, f.log.Cut, kept, made, sent, events)
	}
}

func TestBuildsAreCancelledAndAskedForAgain(t *testing.T) {
	s := newSite(t)
	build := s.asked(t, 1, nil)
	ada, bob, vera := s.as(t, "ada"), s.as(t, "bob"), s.as(t, "vera")
	ada.until(t, "/builds", "it is queued", says(build))
	form, late := ada.form(t, "/builds/"+build+"/cancel", "wrong branch"), bob.form(t, "/builds/"+build+"/cancel", "me too")
	if a := vera.post(t, "/builds/"+build+"/cancel", form); a.status != http.StatusForbidden {
		t.Errorf("a viewer: %d", a.status)
	}
	if a := ada.post(t, "/builds/"+build+"/cancel", url.Values{"form": form["form"], "basis": form["basis"]}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "reason is missing") {
		t.Errorf("without a reason: %d %s", a.status, a.body)
	}
	form = ada.form(t, "/builds/"+build+"/cancel", "wrong branch")
	if a := ada.post(t, "/builds/"+build+"/cancel", form); a.status != http.StatusSeeOther || a.header.Get("Location") != "/builds/"+build {
		t.Fatalf("a cancel: %d %s", a.status, a.body)
	}
	r := buildstest.Ended(t, s.admin, build)
	if r.State != messages.BuildStateCancelled || r.Cancelled != "ada: wrong branch" {
		t.Errorf("the record is %+v", r)
	}
	if a := ada.until(t, "/builds/"+build, "the page says so", says("ada: wrong branch")); !strings.Contains(a.body, "Done: Build "+build+" is cancelled.") {
		t.Errorf("the outcome is not shown: %s", a.body)
	}
	if a := ada.post(t, "/builds/"+build+"/cancel", form); a.status != http.StatusConflict {
		t.Errorf("the form again: %d", a.status)
	}
	if a := bob.post(t, "/builds/"+build+"/cancel", late); a.status != http.StatusConflict || !strings.Contains(a.body, "The build was queued, and is cancelled") {
		t.Errorf("the second: %d %s", a.status, a.body)
	}
	a := ada.post(t, "/builds/"+build+"/retry", ada.form(t, "/builds/"+build+"/retry", "right after all"))
	next := strings.TrimPrefix(a.header.Get("Location"), "/builds/")
	if a.status != http.StatusSeeOther || next == build || next == "" {
		t.Fatalf("a retry: %d %s", a.status, a.body)
	}
	again, err := builds.New(s.admin).RequestOf(queuetest.Within(t), next)
	queuetest.Must(t, err)
	if why := again.Why(); again.Order != r.Order || again.RequestedBy != "ada" || why.Link != build || why.Detail != "right after all" {
		t.Errorf("it is asked for again as %+v, %+v", again, why)
	}
	if a := ada.until(t, "/builds/"+next, "the new one is shown", says("place in the queue")); !strings.Contains(a.body, `<a href="/builds/`+build+`"`) {
		t.Errorf("it does not lead to the first:\n%s", a.body)
	}
	if a := ada.get(t, "/builds/"+next+"/retry"); !strings.Contains(a.body, "cancel it first") || strings.Contains(a.body, `name="form"`) {
		t.Errorf("a retry of one that is queued: %s", a.body)
	}
	forgotten := s.ended(t, 9, messages.BuildStateFailed, nil)
	if a := ada.get(t, "/builds/"+forgotten+"/retry"); !strings.Contains(a.body, "its request was not kept: submit the pipeline again") || strings.Contains(a.body, `name="form"`) {
		t.Errorf("a retry of one whose request is gone: %s", a.body)
	}
}

// TestACancelThatIsNotAnnouncedIsNotDenied: the build has ended, and its event follows.
func TestACancelThatIsNotAnnouncedIsNotDenied(t *testing.T) {
	s := newSite(t)
	build := s.asked(t, 1, nil)
	ada, path := s.as(t, "ada"), "/builds/"+build
	form := ada.form(t, path+"/cancel", "wrong branch")
	queuetest.Must(t, queuetest.JetStream(t, s.admin).DeleteStream(queuetest.Within(t), s.admin.Space().EventsStream()))
	if a := ada.post(t, path+"/cancel", form); a.status != http.StatusSeeOther {
		t.Errorf("a cancel: %d\n%s", a.status, a.body)
	}
	if e, err := store.Builds(s.admin).Current(queuetest.Within(t), build); err != nil || e.Value.State != messages.BuildStateCancelled {
		t.Fatalf("the record is %+v, %v", e.Value, err)
	}
	if a := ada.get(t, path); !strings.Contains(a.body, "Done: ") || !strings.Contains(a.body, "not announced yet") {
		t.Errorf("it says\n%s", a.body)
	}
	if got := s.decisions(t); len(got) != 1 || got[0].Outcome != messages.OutcomeAccepted {
		t.Errorf("the events are %+v", got)
	}
}

// TestAnOlderCredentialIsToldHowItIsMended: its console could decide about fleets alone.
func TestAnOlderCredentialIsToldHowItIsMended(t *testing.T) {
	s := newSiteAt(t, func(o *server.Options) {
		for _, u := range o.Users {
			if u.Username == "console" {
				u.Permissions.Publish.Allow = slices.DeleteFunc(u.Permissions.Publish.Allow, func(subject string) bool {
					return strings.HasPrefix(subject, "$KV.fenceline-builds") || strings.HasPrefix(subject, "fenceline.build.")
				})
			}
		}
	})
	queued := s.asked(t, 1, nil)
	over := s.asked(t, 2, nil)
	queuetest.Must(t, builds.New(s.admin).Cancel(queuetest.Within(t), over, "bob"))
	ada := s.as(t, "ada")
	for build, action := range map[string]string{queued: "cancel", over: "retry"} {
		path := "/builds/" + build + "/" + action
		a := ada.post(t, path, ada.form(t, path, "why not"))
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "Nothing was done") || !strings.Contains(a.body, "fenceline init --dir") {
			t.Errorf("%s: %d %s", action, a.status, a.body)
		}
	}
	if e, err := store.Builds(s.admin).Get(t.Context(), queued); err == nil {
		t.Errorf("the record is %+v", e.Value)
	}
}
