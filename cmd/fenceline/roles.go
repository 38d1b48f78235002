package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/producer"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// The roles. `up` and `run` make them from the same flags, here.

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
)

// producerFlags configure a producer.
type producerFlags struct {
	config, listen, tokenFile, secretsDir string
	grace                                 time.Duration
}

func (f *producerFlags) add(fs *pflag.FlagSet) {
	fileVar(fs, &f.config, "config", "fenceline.yaml", "the pipeline file")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8440", "HOST:PORT for webhooks and calls; port 0 takes a free one")
	secretsDirFlag(fs, &f.secretsDir)
}

func secretsDirFlag(fs *pflag.FlagSet, dir *string) {
	if fs.Lookup("secrets-dir") == nil {
		folderVar(fs, dir, "secrets-dir", "", "folder with the files of the secrets that pipelines name")
	}
}

// httpRole is a producer with its HTTP server.
type httpRole struct {
	*producer.Producer
	listener net.Listener
	server   *http.Server
	grace    time.Duration
}

func (f *producerFlags) pipelines(log zerolog.Logger) (*producer.Pipelines, error) {
	p, err := producer.LoadPipelines(f.config)
	if err != nil {
		return nil, err
	}
	for _, w := range p.Warnings() {
		log.Warn().Msg(w.String())
	}
	return p, nil
}

func (f *producerFlags) make(q *queue.Client, p *producer.Pipelines, l net.Listener, log zerolog.Logger) (*httpRole, error) {
	var token messages.Secret
	if f.tokenFile != "" {
		var err error
		if token, err = readSecret(f.tokenFile); err != nil {
			return nil, err
		}
	}
	made, err := producer.New(producer.Config{
		Pipelines: p, Queue: builds.New(q), APIToken: token, SecretsDir: f.secretsDir, Logger: part(log, "producer"),
	})
	if err != nil {
		return nil, err
	}
	return &httpRole{made, l, producer.NewServer(made.Handler(), log), f.grace}, nil
}

// Run serves until ctx ends and requests under way are answered, or its grace is over. Who sends
// one that is cut off sends it again: it was not answered.
func (r *httpRole) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Producer.Run(ctx) })
	g.Go(func() error {
		if err := r.server.Serve(r.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving HTTP on %s: %w", r.listener.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), r.grace)
		defer done()
		if err := r.server.Shutdown(stop); err != nil {
			return r.server.Close()
		}
		return nil
	})
	return g.Wait()
}

// builderFlags configure a builder.
type builderFlags struct {
	name, secretsDir, buildkit, dockerConfig string
	registryCAFile                           string
	registryPlainHTTP                        []string
	slots                                    int
	ackWait, grace                           time.Duration
}

func (f *builderFlags) add(fs *pflag.FlagSet) {
	fs.IntVar(&f.slots, "slots", 1, "builds at one time")
	fs.DurationVar(&f.ackWait, "ack-wait", builds.DefaultAckWait, "how long a build stays with a builder that went silent")
	explain(fs, "ack-wait", "It is one for the installation: give all builders the same.")
	secretsDirFlag(fs, &f.secretsDir)
	f.addTrust(fs)
}

// addTrust adds how registries are spoken to.
func (f *builderFlags) addTrust(fs *pflag.FlagSet) {
	fileVar(fs, &f.registryCAFile, "registry-ca-file", "", "certificate authorities of registries, beside the system's")
	fs.StringSliceVar(&f.registryPlainHTTP, "registry-plain-http", nil, "registry that speaks plain HTTP, HOST:PORT; may be given several times")
	explain(fs, "registry-ca-file", "In PEM; read at the start. It is for what the builder asks registries itself, tags and whether a base exists: "+
		"pulls and pushes are buildkitd's, whose buildkitd.toml says the same (ca).")
	explain(fs, "registry-plain-http", "As images' names have it. One on a loopback or private address needs none. "+
		"It is for what the builder asks registries itself, as above; in buildkitd.toml it is http = true.")
}

func (f *builderFlags) buildkitConfig() buildkit.Config {
	return buildkit.Config{
		Address: f.buildkit, DockerConfig: f.dockerConfig, RegistryCAFile: f.registryCAFile, PlainHTTP: f.registryPlainHTTP,
	}
}

func (f *builderFlags) make(q *queue.Client, log zerolog.Logger) (*builder.Builder, error) {
	solver, err := buildkit.New(f.buildkitConfig())
	if err != nil {
		return nil, err
	}
	return builder.New(builder.Config{
		Queue: builds.New(q), Solver: solver, SecretsDir: f.secretsDir, Name: f.name, Slots: f.slots, AckWait: f.ackWait,
		Grace: f.grace, Logger: part(log, "builder"),
	})
}

// controllerFlags configure a controller.
type controllerFlags struct {
	name     string
	leaseTTL time.Duration
	layout   store.Layout
}

func (f *controllerFlags) add(fs *pflag.FlagSet) {
	fs.DurationVar(&f.leaseTTL, "lease-ttl", controller.DefaultLeaseTTL, "how long the other controllers wait for a silent acting one")
}

func (f *controllerFlags) make(q *queue.Client, log zerolog.Logger) (*controller.Controller, error) {
	return controller.New(controller.Config{
		Queue: q,
		Backend: func(fleet string) fence.Backend {
			return natskv.New(q, fleet)
		},
		Name: f.name, LeaseTTL: f.leaseTTL, Layout: f.layout, Logger: part(log, "controller"),
	})
}

// distributorFlags configure a distributor.
type distributorFlags struct {
	fleet, node, dockerHost, dockerConfig string
	labels                                labels
	interval                              time.Duration
	minFreeBytes                          int64
}

func (f *distributorFlags) add(fs *pflag.FlagSet) {
	f.labels = labels{}
	nameVar(fs, &f.fleet, "fleet", "default", "the fleet that this node belongs to")
	nameVar(fs, &f.node, "node", hostLabel(), "this node's name, a DNS label")
	fs.StringVar(&f.dockerHost, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	fs.Var(f.labels, "label", "label shown with the node; may be given several times")
	fs.DurationVar(&f.interval, "interval", distributor.DefaultInterval, "between heartbeats when nothing changes")
	fs.Int64Var(&f.minFreeBytes, "min-free-bytes", distributor.DefaultMinFreeBytes, "free disk space that pulls leave alone")
	defaultsTo(fs, "node", "the host's name")
	explain(fs, "fleet", "A DNS label.")
	explain(fs, "min-free-bytes", "Below it none begins, and one under way is given up.")
}

func (f *distributorFlags) make(q *queue.Client, log zerolog.Logger) (*distributor.Distributor, error) {
	engine, err := docker.New(docker.Config{Host: f.dockerHost, DockerConfig: f.dockerConfig})
	if err != nil {
		return nil, err
	}
	return distributor.New(distributor.Config{
		Fleet: f.fleet, Node: f.node, Labels: f.labels, Version: versionText(), Queue: store.NewNode(q), Engine: engine,
		Interval: f.interval, MinFreeBytes: f.minFreeBytes, Logger: part(log, "distributor"),
	})
}

// nodeInbox is the prefix of a node's inboxes, which only that node may read.
func nodeInbox(fleet, node string) string { return "_INBOX_" + fleet + "_" + node }

func part(log zerolog.Logger, name string) zerolog.Logger {
	return log.With().Str("part", name).Logger()
}
