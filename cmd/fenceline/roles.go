package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/producer/registry"
	"github.com/fenceline/fenceline/sinks"
	"github.com/fenceline/fenceline/statuses"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// The roles. `up` and `run` make them from the same settings, here.

// role is a part that runs until its context ends.
type role interface {
	Run(ctx context.Context) error
	// Ready tells whether the role can do its work now; else what is wrong.
	Ready(ctx context.Context) error
}

var (
	_ role = (*httpRole)(nil)
	_ role = (*builder.Builder)(nil)
	_ role = (*controller.Controller)(nil)
	_ role = (*distributor.Distributor)(nil)
	_ role = (*statusRole)(nil)
)

// means are what every role is made with.
type means struct {
	queue   *queue.Client
	metrics *metrics.Registry // nil where nobody asks for metrics
	tracer  *tracing.Tracer   // nil where nothing is traced
	log     zerolog.Logger
}

// httpProducer is what a producer with its HTTP server is made of.
type httpProducer struct {
	settings  *settings.Producer
	grace     time.Duration
	pipelines *producer.Pipelines
	entry     *httpEntry
	attended  bool // it runs in somebody's terminal
	log       zerolog.Logger
}

// loadPipelines reads the pipeline file, or the folder of them, and logs what it warns of.
func loadPipelines(s *settings.Producer, given *pflag.FlagSet, log zerolog.Logger) (*producer.Pipelines, error) {
	path, err := s.Path(given)
	if err != nil {
		return nil, err
	}
	p, err := producer.LoadPipelines(path)
	if err != nil {
		return nil, err
	}
	for _, w := range p.Warnings() {
		log.Warn().Msg(w.String())
	}
	return p, nil
}

// statusRole tells forges and sinks by a pipeline file, as it is.
type statusRole struct {
	*statuses.Worker
	sinks *sinks.Worker
	file  *producer.StatusTargets
}

// Run tells forges and sinks until ctx ends.
func (r *statusRole) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		r.file.Follow(ctx, func(to producer.Outward) {
			r.Retarget(to.Statuses)
			r.sinks.Retarget(sinks.Target(to.Sinks))
		})
	})
	beside.Go(func() { r.sinks.Run(ctx) })
	defer beside.Wait()
	defer cancel()
	return r.Worker.Run(ctx)
}

// statusTargets reads of the pipeline file, or of the folder of them, where statuses and events go.
func statusTargets(s *settings.PipelineFiles, given *pflag.FlagSet, log zerolog.Logger) (*producer.StatusTargets, producer.Outward, error) {
	path, err := s.Path(given)
	if err != nil {
		return nil, producer.Outward{}, err
	}
	file := &producer.StatusTargets{Path: path, Logger: part(log, "statuses")}
	to, err := file.Load()
	return file, to, err
}

func (p *httpProducer) make(m means) (*httpRole, error) {
	q := m.queue
	callers, err := p.settings.Tokens()
	if err != nil {
		return nil, err
	}
	tokens := make([]producer.Token, len(callers))
	for i, c := range callers {
		tokens[i] = producer.Token(c)
	}
	client, err := registry.New(registry.Config{DockerConfig: p.settings.DockerConfig, CAFile: p.settings.CAFile, PlainHTTP: p.settings.PlainHTTP, Rules: &p.settings.Reach})
	if err != nil {
		return nil, err
	}
	line := builds.New(q)
	made, err := producer.New(producer.Config{
		Pipelines: p.pipelines, Queue: line, Polls: producer.SharePolls(q), Files: producer.TellFiles(q), Tokens: tokens, Calls: store.Calls(q), Audit: q, SecretsDir: p.settings.SecretsDir, Rules: &p.settings.Reach,
		Schedules: store.Schedules(q), Clock: store.NewClock(q), Metrics: m.metrics.Producer(), Tracer: m.tracer, Logger: part(p.log, "producer"),
		RepositoryLimit: p.settings.RepositoryLimit, Forwarding: p.entry.forwarding, Certificate: p.entry.certificate,
		Bases: producer.Bases{Builds: line, Looks: store.BaseLooks(q), Registry: client},
	})
	if err != nil {
		return nil, err
	}
	server := producer.NewServer(made.Handler(), p.log)
	if p.entry.certificate != nil {
		server.TLSConfig = p.entry.certificate.TLS()
	}
	return &httpRole{made, p.entry.listener, server, p.grace, p.attended, p.log, nil}, nil
}

// attended tells whether what is written here shows in a terminal.
func attended(stderr io.Writer) bool {
	_, isTerminal := terminal.Behind(stderr)
	return isTerminal
}

// spareHeap is room for a producer's garbage, in bytes. Go collects when there is as much garbage as there is in use,
// which a producer makes of a few hundred webhooks: each collection would cost more than they do.
const spareHeap = 16 << 20

// httpRole is a producer with its HTTP server.
type httpRole struct {
	*producer.Producer
	listener net.Listener
	server   *http.Server
	grace    time.Duration
	attended bool
	log      zerolog.Logger
	spare    []byte // spareHeap, or nil in a process with more in use: it counts as in use, but takes no memory, as nobody writes it
}

// certificateEnd is when the certificate ends that its server shows; zero where it shows none.
func (r *httpRole) certificateEnd() time.Time {
	if c := r.File().Certificate; c != nil {
		return c.Until
	}
	return time.Time{}
}

// hangups tells of each SIGHUP until ctx ends. Where a person attends it is the end of their terminal, as ever.
func (r *httpRole) hangups(ctx context.Context) <-chan os.Signal {
	if r.attended {
		return nil
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}

// Run serves until ctx ends and requests under way are answered, or its grace is over. Who sends
// one that is cut off sends it again: it was not answered.
func (r *httpRole) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Producer.Run(ctx) })
	hangups := r.hangups(ctx)
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hangups:
				r.log.Info().Msg("SIGHUP: the pipeline file is read again, and the certificate")
				r.Reload()
			}
		}
	})
	g.Go(func() error {
		if err := r.serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving HTTP on %s: %w", r.listener.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), r.grace)
		defer done()
		err := r.server.Shutdown(stop)
		if err != nil {
			err = r.server.Close()
		}
		r.FlushAudit(context.WithoutCancel(ctx)) // of the last that were answered; it has a time limit of its own
		return err
	})
	return g.Wait()
}

// serve serves HTTP, or HTTPS where there is a certificate.
func (r *httpRole) serve() error {
	if r.server.TLSConfig != nil {
		return r.server.ServeTLS(r.listener, "", "")
	}
	return r.server.Serve(r.listener)
}

func makeBuilder(s *settings.Builder, grace time.Duration, m means) (*builder.Builder, error) {
	solver, err := buildkit.New(buildkit.Config{
		Address: s.Buildkit, DockerConfig: s.DockerConfig, RegistryCAFile: s.Registries.CAFile, PlainHTTP: s.PlainHTTP, Rules: &s.Reach, Tracer: m.tracer,
	})
	if err != nil {
		return nil, err
	}
	return builder.New(builder.Config{
		Queue: builds.New(m.queue), Solver: solver, SecretsDir: s.SecretsDir, Rules: &s.Reach, Name: s.Name, Slots: s.Slots, AckWait: s.AckWait,
		Grace: grace, Metrics: m.metrics.Builder(), Tracer: m.tracer, Logger: part(m.log, "builder"), Room: s.Room, Afresh: s.Afresh,
	})
}

func makeController(s *settings.Controller, places *backends.Backends, layout store.Layout, m means) (*controller.Controller, error) {
	places.Explain(cli.NameFlags) // status shows what is wrong
	told := m.metrics.Controller()
	told.Storage(storageOf(m.queue))
	return controller.New(controller.Config{
		Queue: m.queue, Backend: places.Factory(m.queue),
		Name: s.Name, LeaseTTL: s.Lease(), Layout: layout, Metrics: told, Tracer: m.tracer, Logger: part(m.log, "controller"),
	})
}

// makeDistributor makes the agent of a node; place is where its fleet's record is.
func makeDistributor(s *settings.Distributor, place string, m means) (*distributor.Distributor, error) {
	engine, err := docker.New(docker.Config{Host: s.DockerHost, DockerConfig: s.DockerConfig})
	if err != nil {
		return nil, err
	}
	var applier distributor.Applier
	if s.Apply.Given() {
		config := s.Apply
		config.Logger = part(m.log, "apply")
		if applier, err = apply.New(config); err != nil {
			return nil, err
		}
	}
	contents := content.New(content.Config{Login: engine.Login})
	engine.FeedFrom(contents)
	return distributor.New(distributor.Config{
		Applier: applier, Fleet: s.Fleet, Node: s.Node, Labels: s.Labels, Version: cli.Version(), Queue: store.NewNode(m.queue), Engine: engine,
		Contents: contents, Pull: s.Pull.Way(),
		Interval: s.Interval, MinFreeBytes: s.MinFreeBytes, Place: place, AbandonedAfter: s.Abandoned,
		Metrics: m.metrics.Distributor(), Tracer: m.tracer, Logger: part(m.log, "distributor"),
	})
}

func makeStatuses(name string, file *producer.StatusTargets, to producer.Outward, m means) (role, error) {
	made, err := statuses.New(statuses.Config{Queue: m.queue, Name: name, Targets: to.Statuses, Metrics: m.metrics.Statuses(), Logger: part(m.log, "statuses")})
	if err != nil {
		return nil, err
	}
	sender, err := sinks.New(sinks.Config{Queue: m.queue, Name: name, Target: sinks.Target(to.Sinks), Metrics: m.metrics.Sinks(), Logger: part(m.log, "sinks")})
	if err != nil {
		return nil, err
	}
	return &statusRole{made, sender, file}, nil
}

// part is the log of one part of this process.
func part(log zerolog.Logger, name string) zerolog.Logger {
	return log.With().Str("part", name).Logger()
}
