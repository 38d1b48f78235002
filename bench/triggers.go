package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/sirupsen/logrus"
)

const (
	// triggerRounds is how often a base is pushed.
	triggerRounds = 15
	// triggerRest is between a rebuild and the next push: more than the pipeline's changes settle for.
	triggerRest = 2 * time.Second
	// triggerMost is what the median may take.
	triggerMost = 250 * time.Millisecond
	// registryToken is what the registry shows the producer, which nobody else can reach.
	registryToken = "a-token-of-this-run-alone"
)

// baseRegistry is the CNCF's registry, which tells a producer of pushes.
type baseRegistry struct {
	address string
	server  *http.Server
	app     *handlers.App
	cancel  context.CancelFunc
	pushed  atomic.Int64 // when the last manifest was put, before it is stored or anybody is told, in nanoseconds of Unix time
}

func startBaseRegistry(dir, producer string) (*baseRegistry, error) {
	logrus.SetOutput(io.Discard)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a registry: %w", err)
	}
	config := &configuration.Configuration{Storage: configuration.Storage{"filesystem": {"rootdirectory": dir}}}
	config.Catalog.MaxEntries = 10
	config.Notifications.Endpoints = []configuration.Endpoint{{
		Name: "fenceline", URL: producer + "/registries/distribution", Timeout: 10 * time.Second, Threshold: 10, Backoff: time.Second,
		Headers: http.Header{"Authorization": {"Bearer " + registryToken}},
		Ignore:  configuration.Ignore{Actions: []string{"pull"}},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	r := &baseRegistry{address: l.Addr().String(), app: handlers.NewApp(ctx, config), cancel: cancel}
	seen := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") {
			r.pushed.Store(time.Now().UnixNano())
		}
		r.app.ServeHTTP(w, q)
	})
	r.server = &http.Server{Handler: seen, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *baseRegistry) close() error {
	err := r.server.Close()
	r.cancel()
	return errors.Join(err, r.app.Shutdown())
}

// triggerLatency takes the time from the request that puts a base's manifest into its registry until a builder has claimed the rebuild, as `watch` shows
// it: the registry tells, the producer looks at the registry and at the repository, and stores the request.
func triggerLatency(ctx context.Context, o options) (_ Figure, err error) {
	ctx, stop := context.WithCancel(ctx)
	r := &rig{options: o, stop: stop}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare([]string{"triggered"}, "", ""); err != nil {
		return Figure{}, err
	}
	bases, err := startBaseRegistry(filepath.Join(r.dir, "bases"), r.url)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, bases.close()) }()
	source := bases.address + "/library/base:latest"
	if err := r.followBase(source); err != nil {
		return Figure{}, err
	}
	seed := seeds()
	if err := pushSeeded(ctx, r, source, seed()); err != nil {
		return Figure{}, err
	}
	if err := r.start(ctx); err != nil {
		return Figure{}, err
	}
	repo, err := r.repository(ctx, "triggered", "COPY seed /seed\n")
	if err != nil {
		return Figure{}, err
	}
	commit, err := r.commit(ctx, repo, seed())
	build := ""
	if err == nil {
		build, err = r.send(ctx, repo.URL, commit)
	}
	if err == nil {
		_, err = r.await(ctx, func(l site.Line) bool { return l.Build == build && l.Step == "announced" })
	}
	if err != nil {
		return Figure{}, err
	}
	var took []time.Duration
	for range triggerRounds {
		d, err := r.trigger(ctx, bases, source, seed())
		if err != nil {
			return Figure{}, fmt.Errorf("%w\n%s", err, r.up.Tail(15))
		}
		took = append(took, d)
	}
	fmt.Fprintf(o.log, "bench: trigger_latency_ms: %v\n", took)
	m := median(took)
	return Figure{
		Name: "trigger_latency_ms", Value: milliseconds(m), Unit: "ms", Peer: "the target", PeerValue: milliseconds(triggerMost),
		Ratio: float64(m) / float64(triggerMost), Target: "at most 250", Met: m <= triggerMost,
	}, nil
}

// followBase has the pipeline build on a source, and follow it.
func (r *rig) followBase(source string) error {
	text, err := os.ReadFile(r.config)
	if err != nil {
		return fmt.Errorf("reading the pipeline file: %w", err)
	}
	lines := strings.ReplaceAll(string(text), r.base(), source) + "    rebuild_on: {base: true, settle: 1s, token_file: registry.token}\n"
	return errors.Join(
		os.WriteFile(filepath.Join(r.dir, "registry.token"), []byte(registryToken), 0o600),
		os.WriteFile(r.config, []byte(lines), 0o600),
	)
}

// pushSeeded pushes a base that nobody has seen yet.
func pushSeeded(ctx context.Context, r *rig, source, seed string) error {
	layer, err := site.BusyboxLayer(filepath.Join(filepath.Dir(r.tools), "base", "busybox"), map[string]string{"seed": seed})
	if err == nil {
		_, err = site.PushBase(ctx, source, layer, site.Login{})
	}
	return err
}

// trigger takes one push, and waits until the rebuild is over.
func (r *rig) trigger(ctx context.Context, bases *baseRegistry, source, seed string) (time.Duration, error) {
	if !queue.Pause(ctx, triggerRest) {
		return 0, context.Cause(ctx)
	}
	if err := pushSeeded(ctx, r, source, seed); err != nil {
		return 0, err
	}
	claimed, err := r.await(ctx, func(l site.Line) bool { return l.Step == "claimed" })
	took := time.Since(time.Unix(0, bases.pushed.Load()))
	if err == nil {
		_, err = r.await(ctx, func(l site.Line) bool { return l.Build == claimed.Build && l.Step == "announced" })
	}
	return took, err
}
