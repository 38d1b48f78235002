package producer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// aged is a queue whose builds were asked for longer ago.
type aged struct {
	*builds.Queue
	by time.Duration
}

func (q aged) Refs(ctx context.Context, pipeline string) (map[string]builds.Newest, error) {
	refs, err := q.Queue.Refs(ctx, pipeline)
	for name, n := range refs {
		n.Age += q.by
		refs[name] = n
	}
	return refs, err
}

// polling is a site of one repository, whose producer polls when the test says.
type polling struct {
	t    *testing.T
	c    *queue.Client
	repo *gittest.Repository
	file string
	age  time.Duration // of the builds that were asked for
	w    *poller
	q    *builds.Queue
}

func newPolling(t *testing.T, more ...string) *polling {
	t.Helper()
	s := &polling{t: t, c: queuetest.Start(t).Client(t), repo: gittest.Start(t).Repository(t, "base"), age: time.Hour}
	s.file = strings.Replace(item(append([]string{"    poll: 10m"}, more...)...), "https://git.example.com/base.git", s.repo.URL, 1)
	s.restart()
	return s
}

// restart has another producer take over.
func (s *polling) restart() {
	s.t.Helper()
	s.q = builds.New(s.c)
	p, err := New(Config{Pipelines: load(s.t, s.file), Queue: aged{s.q, s.age}, Logger: zerolog.Nop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.w = p.poller(SharePolls(s.c))
}

// poll looks once, and returns what was asked for by it: full refs and the commits.
func (s *polling) poll() map[string]string {
	s.t.Helper()
	before := stored(s.t, s.c)
	for _, r := range s.w.repos {
		s.w.line.put(r, time.Now())
	}
	s.w.pass(s.t.Context())
	asked := map[string]string{}
	for id, b := range stored(s.t, s.c) {
		if _, known := before[id]; known {
			continue
		}
		if asked[b.FullRef()] = b.Commit; b.Why().Kind != messages.ReasonPoll || b.Why().Detail == "" {
			s.t.Errorf("%s was asked for because of %s", b.FullRef(), b.Why())
		}
	}
	return asked
}

func (s *polling) wants(what string, want map[string]string) {
	s.t.Helper()
	got := s.poll()
	if len(got) != len(want) {
		s.t.Errorf("%s: asked for are %v, want %v", what, got, want)
	}
	for ref, commit := range want {
		if got[ref] != commit {
			s.t.Errorf("%s: %s is asked for at %q, want %s", what, ref, got[ref], commit)
		}
	}
}

// hook tells of a push, as a forge does.
func (s *polling) hook(ref, commit string) {
	s.t.Helper()
	r := &messages.BuildRequested{Build: messages.NewBuildID("base"), Pipeline: s.w.inForce.Load().pipelines.All()[0], Commit: commit, Cause: messages.CausePush}
	r.SetRef(ref)
	if _, err := s.q.Request(s.t.Context(), r, ""); err != nil {
		s.t.Fatal(err)
	}
}

func (s *polling) commit(branch, text string) string {
	return s.repo.Commit(s.t, branch, map[string]string{text: text + "\n"})
}

func (s *polling) record() queue.Entry[messages.RepositoryPoll] {
	s.t.Helper()
	e, err := store.Polls(s.c).Get(s.t.Context(), messages.PollKey(s.repo.URL, ""))
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// TestAPollFindsWhatNobodyTold of branches and tags, with producers that come and go between.
func TestAPollFindsWhatNobodyTold(t *testing.T) {
	s := newPolling(t, `    branches: [main, "release/*"]`, `    tags: ["v*"]`)
	first := s.commit("main", "a")
	old := s.commit("release/0", "b")
	s.repo.Tag(t, "v0", first, true)
	s.wants("at first, what a pattern alone names", map[string]string{mainRef: first})
	s.wants("again", nil)
	told := s.commit("main", "c")
	s.hook(mainRef, told)
	s.wants("after a webhook", nil)
	lost := s.commit("main", "d")
	release := s.commit("release/1", "e")
	s.repo.Tag(t, "v1", told, true)
	s.repo.Tag(t, "other", told, false)
	s.commit("dev", "f")
	s.restart()
	s.wants("after webhooks that were lost while no producer ran", map[string]string{mainRef: lost, "refs/heads/release/1": release, "refs/tags/v1": told})
	s.wants("again", nil)
	moved := s.repo.Tag(t, "v1", lost, false)
	next := s.commit("release/0", "g")
	s.wants("after a tag that moved, and a push to an old branch", map[string]string{"refs/tags/v1": moved, "refs/heads/release/0": next})
	s.hook("refs/tags/v2", s.repo.Tag(t, "v2", told, true)) // some forges name the tag's own object
	s.wants("after a webhook of an annotated tag", nil)
	s.restart()
	s.wants("by a producer that takes over", nil)
	if next == old {
		t.Error("one commit")
	}
	s.file = strings.Replace(s.file, `["v*"]`, `["v*", other]`, 1)
	s.restart()
	s.wants("of a pattern that is new, what was there", nil)
}

// TestAForcePushBackIsFound whose webhook was lost.
func TestAForcePushBackIsFound(t *testing.T) {
	s := newPolling(t)
	first := s.commit("main", "a")
	s.wants("at first", map[string]string{mainRef: first})
	second := s.commit("main", "b")
	s.hook(mainRef, second)
	s.wants("told", nil)
	s.repo.Branch(t, "main", first)
	s.wants("pushed back", map[string]string{mainRef: first})
	s.wants("again", nil)
	s.repo.Branch(t, "main", second)
	s.wants("and forth", map[string]string{mainRef: second})
}

// TestAMirrorThatIsBehindIsNotBelieved: nothing goes back to what it shows, until it may be that the branch was set back.
func TestAMirrorThatIsBehindIsNotBelieved(t *testing.T) {
	s := newPolling(t)
	s.age = 0
	s.restart()
	first := s.commit("main", "a")
	s.wants("at first", map[string]string{mainRef: first})
	second := s.commit("main", "b")
	s.hook(mainRef, second)
	s.repo.Branch(t, "main", first)
	s.wants("just after the push", nil)
	if r := s.w.line[0]; time.Until(r.due) > time.Minute {
		t.Errorf("it is looked at again in %s", time.Until(r.due))
	}
	s.repo.Branch(t, "main", second)
	s.wants("once it shows it", nil)
	s.repo.Branch(t, "main", first)
	const unknown = "0123456789abcdef0123456789abcdef01234567"
	s.hook(mainRef, unknown)
	s.age = git.LagWithout / 2
	s.restart()
	s.wants("a mirror that doesn't have the push", nil)
	if p := s.record().Value.Problem; !strings.Contains(p, "a mirror that is behind") {
		t.Errorf("it is said: %q", p)
	}
	s.age = git.LagWithout * 2
	s.restart()
	s.wants("for an hour", map[string]string{mainRef: first})
	if p := s.record().Value.Problem; p != "" {
		t.Errorf("it is still said: %q", p)
	}
	third := s.commit("main", "c")
	s.hook(mainRef, first)
	s.age = 0
	s.restart()
	s.wants("a newer push, whose webhook was lost", map[string]string{mainRef: third})
}

// TestALostPushBeforeOneThatIsPassedOverIsFound by what the two changed together.
func TestALostPushBeforeOneThatIsPassedOverIsFound(t *testing.T) {
	s := newPolling(t, `    paths: ["images/**"]`)
	first := s.commit("main", "images/a")
	s.wants("at first", map[string]string{mainRef: first})
	s.commit("main", "docs/a")
	s.wants("after documents", nil)
	s.commit("main", "images/b")
	head := s.commit("main", "docs/b")
	s.wants("after an image, and documents", map[string]string{mainRef: head})
}

// TestNothingIsStoredWhereNothingChanged, and nothing at all of a pipeline of one branch.
func TestNothingIsStoredWhereNothingChanged(t *testing.T) {
	s := newPolling(t, `    branches: ["**"]`)
	s.commit("main", "a")
	s.poll()
	before := s.record().Revision
	s.poll()
	s.restart()
	s.poll()
	if now := s.record().Revision; now != before {
		t.Errorf("the record moved from %d to %d", before, now)
	}
	s.file = strings.Replace(s.file, `branches: ["**"]`, "branch: main", 1)
	s.restart()
	s.w.force(load(t, "version: 1\npipelines: []\n"))
	s.w.follow(t.Context())
	if all, err := store.Polls(s.c).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("of no pipeline, there are %v, %v", all, err)
	}
	s.restart()
	s.poll()
	if all, err := store.Polls(s.c).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("of one branch, there are %v, %v", all, err)
	}
}

// TestSeveralProducersPollOnce, and another goes on when the one that does ends.
func TestSeveralProducersPollOnce(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	there, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(there)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			asked.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	nats := queuetest.Start(t)
	c := nats.Client(t)
	file := strings.Replace(item("    poll: 10m"), "https://git.example.com", host.URL, 1)
	var stops []func()
	var done []chan struct{}
	for range 3 {
		own := nats.Client(t)
		p, err := New(Config{Pipelines: load(t, file), Queue: builds.New(own), Polls: SharePolls(own), Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); p.poll(ctx) }()
		stops, done = append(stops, stop), append(done, ended)
		t.Cleanup(func() { stop(); <-ended })
	}
	has := func(commit string) func() bool {
		return func() bool {
			for _, b := range stored(t, c) {
				if b.Commit == commit {
					return true
				}
			}
			return false
		}
	}
	until(t, "the head is asked for", has(first))
	if n := asked.Load(); n != 1 {
		t.Errorf("the host was asked %d times", n)
	}
	second := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 2\n"})
	for i, stop := range stops[:2] { // one of these, or the third, polls
		stop()
		<-done[i]
	}
	if asked.Load() == 1 { // the third one did
		stops[2]()
		<-done[2]
		return
	}
	until(t, "the next head is asked for", has(second))
}

// TestARepositoryThatCantBeReadIsSaid, and no longer once it can be.
func TestARepositoryThatCantBeReadIsSaid(t *testing.T) {
	s := newPolling(t)
	s.file = strings.Replace(s.file, "base.git", "later.git", 1)
	s.restart()
	s.poll()
	s.poll()
	later := messages.PollKey(strings.Replace(s.repo.URL, "base.git", "later.git", 1), "")
	e, err := store.Polls(s.c).Get(t.Context(), later)
	if err != nil || !strings.Contains(e.Value.Problem, "no such repository") || e.Value.Since.IsZero() {
		t.Errorf("%+v, %v", e.Value, err)
	}
}
