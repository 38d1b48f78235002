package producer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// running starts a producer of one pipeline with a webhook, which ends with the test.
func running(t *testing.T, q Queue, file string, log zerolog.Logger) *Producer {
	t.Helper()
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "reader"), []byte("repo-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Pipelines: load(t, file), Queue: q, SecretsDir: secrets, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	p.pollPause = 5 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	return p
}

// pass has a poller look at all that is due now, once.
func (w *poller) pass(ctx context.Context) {
	w.follow(ctx)
	for w.begin(ctx); w.busy > 0; w.begin(ctx) {
		w.finish(<-w.ended)
	}
}

// watched is a pipeline of a repository whose pushes are told.
func watched(url string, more ...string) string {
	return strings.Replace(item(append([]string{"    webhook: {secret_file: hook}"}, more...)...), "https://git.example.com/base.git", url, 1)
}

// looks counts the heads that producers have looked at.
type looks struct {
	*builds.Queue
	done *atomic.Int64
}

func (l looks) RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
	a, err := l.Queue.RequestHead(ctx, r, traceparent)
	if err == nil {
		l.done.Add(1)
	}
	return a, err
}

// TestAPushWhileNoProducerRanIsBuilt has several producers start at one time after it.
func TestAPushWhileNoProducerRanIsBuilt(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	head := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	server.RequireToken("repo-token")
	nats := queuetest.Start(t)
	c := nats.Client(t)
	var done atomic.Int64
	start := func() *Producer {
		return running(t, looks{builds.New(nats.Client(t)), &done}, watched(repo.URL, "    repository_token: reader"), zerolog.Nop())
	}
	looked := func(times int64) {
		t.Helper()
		until(t, "all have looked", func() bool { return done.Load() == times })
	}
	start()
	start()
	p := start()
	looked(3)
	for _, b := range stored(t, c) {
		if b.Commit != head || b.Ref != "refs/heads/main" || b.Cause != messages.CausePush || b.RequestedBy != messages.SeenAtStart {
			t.Errorf("%+v is asked for", b)
		}
	}
	s := senders()[0]
	status, a, _ := serve(p, s.hook(testSecret, s.payload(repo.URL, mainRef, head)))
	if status != 202 || len(a.Builds) != 1 || !a.Builds[0].Duplicate {
		t.Errorf("the hook after it: status %d, %+v", status, a)
	}
	start()
	looked(4)
	if next := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 2\n"}); next == head {
		t.Fatal("the same commit")
	}
	start()
	looked(5)
	if n := len(stored(t, c)); n != 2 {
		t.Errorf("%d builds were asked for", n)
	}
}

// TestAHostThatIsAwayIsAskedAgain has the git host come back after the producer's start, which it
// doesn't stop.
func TestAHostThatIsAwayIsAskedAgain(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	there, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var back atomic.Bool
	var asked atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(there)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !back.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	c := queuetest.Start(t).Client(t)
	var log queuetest.Output
	p := running(t, builds.New(c), watched(host.URL+"/base.git"), zerolog.New(&log))
	until(t, "the host was asked twice", func() bool { return asked.Load() > 1 })
	s := senders()[0]
	if status, a, _ := serve(p, s.hook(testSecret, s.payload(host.URL+"/base.git", "refs/heads/other", testCommit))); status != 200 {
		t.Errorf("a hook meanwhile: status %d, %+v", status, a)
	}
	back.Store(true)
	until(t, "the head is asked for", func() bool { return len(stored(t, c)) == 1 })
	if n := strings.Count(log.String(), "is looked at again"); n != 1 {
		t.Errorf("it says %d times that the host is away:\n%s", n, log.String())
	}
}

// TestHeadsThatAreNotLookedFor are those of pipelines that are built when somebody asks for it, and of
// branches that nobody pushed.
func TestHeadsThatAreNotLookedFor(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	q := &memoryQueue{}
	for name, file := range map[string]string{
		"no webhook":            strings.Replace(watched(repo.URL), "    webhook: {secret_file: hook}\n", "", 1),
		"nothing is pushed yet": watched(repo.URL, "    branch: later"),
	} {
		p, err := New(Config{Pipelines: load(t, file), Queue: q})
		if err != nil {
			t.Fatal(err)
		}
		p.poller(nil).pass(t.Context())
		if got := q.pipelines(); len(got) > 0 {
			t.Errorf("%s: %v is asked for", name, got)
		}
	}
}

// TestAProducerWithoutGitSaysSo and takes webhooks all the same.
func TestAProducerWithoutGitSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	c := queuetest.Start(t).Client(t)
	var log queuetest.Output
	p := running(t, builds.New(c), watched("https://git.example.com/base.git"), zerolog.New(&log))
	until(t, "it says so", func() bool { return strings.Contains(log.String(), "git is not installed here") })
	s := senders()[0]
	if status, a, _ := serve(p, s.hook(testSecret, s.payload("https://git.example.com/base.git", mainRef, testCommit))); status != 202 {
		t.Errorf("a hook: status %d, %+v", status, a)
	}
}

// TestFewRepositoriesAreAskedAtOnce counts them.
func TestFewRepositoriesAreAskedAtOnce(t *testing.T) {
	var mu sync.Mutex
	now, most, seen := 0, 0, map[string]bool{}
	enough := make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if now++; now > most {
			if most = now; most == pollsAtOnce {
				close(enough)
			}
		}
		seen[r.URL.Path] = true
		mu.Unlock()
		select {
		case <-enough:
		case <-r.Context().Done():
		}
		mu.Lock()
		now--
		mu.Unlock()
		http.NotFound(w, r)
	}))
	t.Cleanup(host.Close)
	var file strings.Builder
	file.WriteString("version: 1\npipelines:\n")
	for _, name := range strings.Split("a b c d e f g h i j k l", " ") {
		file.WriteString("  - {name: " + name + ", repository: '" + host.URL + "/" + name + ".git', image: example.com/" + name + ", webhook: {secret_file: hook}}\n")
	}
	p, err := New(Config{Pipelines: load(t, file.String()), Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		p.poll(ctx)
		close(ended)
	}()
	until(t, "all were asked", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == 12 })
	stop()
	<-ended
	if most != pollsAtOnce {
		t.Errorf("%d repositories were asked at one time; want %d", most, pollsAtOnce)
	}
}
