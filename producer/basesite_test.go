package producer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/producer/registry"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
)

const registryToken = "the-token-of-the-registry"

// baseSite is an installation whose builds take their bases from a real registry that tells producers of pushes.
type baseSite struct {
	t        *testing.T
	server   *queuetest.Server
	as       func(string) *queue.Client
	admin    *queue.Client
	registry string // HOST:PORT
	git      *gittest.Server
	repos    map[string]*gittest.Repository
	file     string

	asked  atomic.Int32 // questions for manifests, but those of the site itself
	answer atomic.Pointer[http.HandlerFunc]
	told   atomic.Pointer[http.Handler] // who is told of pushes
	deaf   bool                         // producers that start are not

	mu      sync.Mutex
	from    map[string][]string // what pipelines are built from
	fixed   map[string]bool     // sources that Dockerfiles name by digest
	hold    map[string]chan struct{}
	started []messages.BuildRequested
}

// newBaseSite has pipelines, each with lines of its own in the pipeline file; {registry} stands for the registry there.
func newBaseSite(t *testing.T, pipelines map[string]string) *baseSite {
	t.Helper()
	logrus.SetOutput(io.Discard)
	s := &baseSite{t: t, git: gittest.Start(t), repos: map[string]*gittest.Repository{}, from: map[string][]string{}, fixed: map[string]bool{}, hold: map[string]chan struct{}{}}
	s.server, s.as = queuetest.Guarded(t)
	s.admin = s.as("admin")
	queuetest.Must(t, store.Declare(queuetest.Within(t), s.as("controller"), store.Layout{}))
	s.startRegistry()
	file := "version: 1\npipelines:\n"
	for name, lines := range pipelines {
		s.repos[name] = s.git.Repository(t, name)
		s.repos[name].Commit(t, "main", map[string]string{"Dockerfile": "FROM x"})
		file += fmt.Sprintf("  - name: %s\n    repository: %s\n    image: %s/own/%s\n", name, s.repos[name].URL, s.registry, name)
		for line := range strings.Lines(strings.ReplaceAll(lines, "{registry}", s.registry)) {
			file += "    " + strings.TrimSuffix(line, "\n") + "\n"
		}
	}
	folder := t.TempDir()
	s.file = filepath.Join(folder, "fenceline.yaml")
	queuetest.Must(t, os.WriteFile(s.file, []byte(file), 0o600))
	queuetest.Must(t, os.WriteFile(filepath.Join(folder, "token"), []byte(registryToken), 0o600))
	buildstest.Consume(t, s.as("builder"), buildstest.Work(s.build))
	return s
}

// startRegistry starts the CNCF's registry, with notifications on.
func (s *baseSite) startRegistry() {
	told := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := s.told.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": nil}}
	config.Catalog.MaxEntries = 10
	config.Notifications.Endpoints = []configuration.Endpoint{{
		Name: "fenceline", URL: told.URL + "/registries/distribution", Timeout: 10 * time.Second, Threshold: 1000, Backoff: 50 * time.Millisecond,
		Headers: http.Header{"Authorization": {"Bearer " + registryToken}},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	app := handlers.NewApp(ctx, config)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") && r.Method != http.MethodPut && !strings.Contains(r.UserAgent(), "go-containerregistry") {
			s.asked.Add(1)
			if h := s.answer.Load(); h != nil {
				(*h)(w, r)
				return
			}
		}
		app.ServeHTTP(w, r)
	}))
	s.t.Cleanup(func() { server.Close(); cancel(); told.Close() })
	s.registry = strings.TrimPrefix(server.URL, "http://")
}

// producer starts a producer that the registry tells of pushes, and returns it and what stops it.
func (s *baseSite) producer(log io.Writer) (p *Producer, stop func()) {
	s.t.Helper()
	pipelines, err := LoadPipelines(s.file)
	queuetest.Must(s.t, err)
	c := s.server.Connect(s.t, queuetest.Credentials("producer"), func(o *queue.Options) { o.Asks = true })
	client, err := registry.New(registry.Config{})
	queuetest.Must(s.t, err)
	q := builds.New(c)
	p, err = New(Config{
		Pipelines: pipelines, Queue: q, Logger: zerolog.New(log).Level(zerolog.InfoLevel),
		Bases: Bases{Builds: q, Looks: store.BaseLooks(c), Registry: client},
	})
	queuetest.Must(s.t, err)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	if h := p.Handler(); !s.deaf {
		s.told.Store(&h)
	}
	stop = func() { cancel(); <-done }
	s.t.Cleanup(stop)
	return p, stop
}

// source is the name of a base at the registry.
func (s *baseSite) source(base string) string { return s.registry + "/" + base }

// push puts an image of its own under a tag, and returns its digest.
func (s *baseSite) push(base string) string {
	s.t.Helper()
	digest, err := pushRandom(s.source(base))
	queuetest.Must(s.t, err)
	return digest
}

func pushRandom(source string) (string, error) {
	image, err := random.Image(100, 1)
	if err != nil {
		return "", err
	}
	tag, err := name.NewTag(source)
	if err != nil {
		return "", err
	}
	if err := remote.Write(tag, image); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// builtFrom says what builds of a pipeline take from now on.
func (s *baseSite) builtFrom(pipeline string, bases ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from[pipeline] = nil
	for _, b := range bases {
		s.from[pipeline] = append(s.from[pipeline], s.source(b))
	}
}

// held has builds of a pipeline wait until release is called, before they pin anything.
func (s *baseSite) held(pipeline string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.hold[pipeline] = c
	return sync.OnceFunc(func() {
		s.mu.Lock()
		delete(s.hold, pipeline)
		s.mu.Unlock()
		close(c)
	})
}

// build pins what a pipeline is built from, pushes an image and moves its tag, as builders do.
func (s *baseSite) build(ctx context.Context, j *builds.Job) (messages.Payload, error) {
	pipeline := j.Request.Pipeline.Name
	s.mu.Lock()
	hold, from := s.hold[pipeline], s.from[pipeline]
	s.started = append(s.started, *j.Request)
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var bases []messages.PinnedBase
	for _, source := range from {
		tag, err := name.NewTag(source)
		if err != nil {
			return nil, queue.Permanent(err)
		}
		d, err := remote.Head(tag)
		if err != nil {
			return nil, err
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(source, s.registry+"/"), ":")
		image, err := messages.NewImage(s.registry+"/"+repository, d.Digest.String())
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		bases = append(bases, messages.PinnedBase{Source: source, Image: image, Fixed: s.fixed[source]})
		s.mu.Unlock()
	}
	ref := j.Request.BuildRef()
	if err := j.Event(ctx, &messages.BasePinned{BuildRef: ref, Attempt: j.Attempt, Bases: bases}); err != nil {
		return nil, err
	}
	digest, err := pushRandom(j.Request.Pipeline.Image + ":latest")
	if err != nil {
		return nil, err
	}
	image, err := messages.NewImage(j.Request.Pipeline.Image, digest)
	if err != nil {
		return nil, err
	}
	if _, err := v1.NewHash(digest); err != nil {
		return nil, err
	}
	r := buildstest.Ready(j.Request)
	r.Image, r.Ref, r.Bases = image, j.Request.FullRef(), bases
	return r, nil
}

// first has a pipeline built for the first time, as by a push, and waits for it.
func (s *baseSite) first(pipeline string) messages.BuildRecord {
	s.t.Helper()
	p, err := LoadPipelines(s.file)
	queuetest.Must(s.t, err)
	d := p.byName[pipeline]
	r := &messages.BuildRequested{
		Build: messages.NewBuildID(pipeline), Pipeline: d.pipeline, Cause: messages.CausePush, Received: time.Now().UTC(),
		Commit: s.repos[pipeline].Commit(s.t, "main", map[string]string{"n": messages.NewID()}),
	}
	r.SetRef("refs/heads/main")
	return buildstest.Ended(s.t, s.admin, buildstest.Submit(s.t, s.admin, r).Build)
}

// requests are those of a pipeline that were stored, in their order.
func (s *baseSite) requests(pipeline string) (out []messages.BuildRequested) {
	s.t.Helper()
	queuetest.Must(s.t, s.admin.Read(queuetest.Within(s.t), s.admin.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		if b := r.Payload.(*messages.BuildRequested); b.Pipeline.Name == pipeline {
			out = append(out, *b)
		}
		return nil
	}))
	return out
}

// follows waits until a producer knows that a pipeline is built on so many bases that it follows.
func (s *baseSite) follows(p *Producer, pipeline string, bases int) {
	s.t.Helper()
	queuetest.Eventually(s.t, fmt.Sprintf("pipeline %s follows %d bases", pipeline, bases), func() bool {
		p.bases.mu.Lock()
		defer p.bases.mu.Unlock()
		f, n := p.bases.pipelines[pipeline], 0
		for _, source := range p.bases.sources {
			if source.users[pipeline] {
				n++
			}
		}
		return f != nil && f.loaded && n == bases
	})
}

// leavesAlone has a producer look at the bases of a pipeline only when it is told of them, from when none was looked at a moment ago.
func (s *baseSite) leavesAlone(p *Producer, pipeline string) {
	s.t.Helper()
	queuetest.Eventually(s.t, "no base of "+pipeline+" is looked at", func() bool {
		p.bases.mu.Lock()
		defer p.bases.mu.Unlock()
		for _, source := range p.bases.sources {
			if !source.users[pipeline] {
				continue
			}
			if !source.read || source.busy || time.Since(source.seen) < baseGap {
				return false
			}
			source.due = time.Now().Add(time.Hour)
		}
		return true
	})
}

// sourcesOf are the bases of a pipeline that are followed.
func (b *baseFollower) sourcesOf(pipeline string) (out []*followedSource) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sources {
		if s.users[pipeline] {
			out = append(out, s)
		}
	}
	return out
}
