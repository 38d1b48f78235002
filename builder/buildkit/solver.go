package buildkit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/registries"
	"github.com/fenceline/fenceline/tracing"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/worker/label"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// DefaultWatch is how often buildkitd is asked for a sign of life while it builds, and how
// long it may take to answer.
const DefaultWatch = 10 * time.Second

// Config is what a Solver needs.
type Config struct {
	Address      string // of buildkitd, such as unix:///run/buildkit/buildkitd.sock or tcp://HOST:PORT
	DockerConfig string // folder of the config.json with the registries' logins, which New and Ready check; "" for none
	// RegistryCAFile has authorities, in PEM, that the certificates of registries are checked
	// against beside the system's; "" for none. It is read by New. It and PlainHTTP are for what
	// the Solver asks registries itself, tags and whether a base exists: buildkitd, which
	// pulls and pushes, has its own buildkitd.toml.
	RegistryCAFile string
	PlainHTTP      []string      // registries that speak plain HTTP, HOST:PORT; those on loopback and private addresses do anyway
	Rules          *reach.Rules  // what repositories, submodules, Dockerfiles and registries may lead to; nil for those that are the zero value
	Watch          time.Duration // between signs of life of buildkitd; 0 for DefaultWatch
	// Tracer has buildkitd told of a build's trace, so that a buildkitd that sends spans has them in it; nil where nothing is traced.
	Tracer *tracing.Tracer
}

// FieldError tells which field of Config can't be used as it is, so that a caller can say which of
// its settings to change.
type FieldError struct {
	Field string // its name in Config
	Err   error
}

// Error is Err's text.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Solver builds with one buildkitd, over one connection that is made when it is needed and
// again when it is lost. It serves any number of builds at a time.
type Solver struct {
	config   Config
	client   *client.Client
	logins   registries.Logins
	registry *registry
}

var _ builder.Solver = (*Solver)(nil)

// New returns a Solver. It doesn't connect yet: Ready tells whether buildkitd is there. What is
// wrong with a file or a registry's name is a *FieldError.
func New(c Config) (*Solver, error) {
	if c.Address == "" {
		return nil, errors.New("using buildkitd: no address is given: name one such as unix:///run/buildkit/buildkitd.sock")
	}
	if c.Watch == 0 {
		c.Watch = DefaultWatch
	}
	trusted, err := newTrust(c)
	if err != nil {
		return nil, err
	}
	// A buildkitd that was restarted should be found at once, not after gRPC's two minutes.
	quick := backoff.DefaultConfig
	quick.BaseDelay, quick.MaxDelay = 100*time.Millisecond, 2*time.Second
	bk, err := client.New(context.Background(), c.Address, client.WithTracerProvider(c.Tracer.ForLibrary()), client.WithGRPCDialOption(grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: quick, MinConnectTimeout: 5 * time.Second,
	})))
	if err != nil {
		return nil, fmt.Errorf("using buildkitd at %s: %w", c.Address, err)
	}
	s := &Solver{config: c, client: bk, logins: registries.Logins{Folder: c.DockerConfig}}
	s.registry = newRegistry(s.logins, trusted)
	if err := s.logins.Check(); err != nil {
		return nil, errors.Join(&FieldError{"DockerConfig", err}, bk.Close())
	}
	return s, nil
}

// Close ends the connection.
func (s *Solver) Close() error { return s.client.Close() }

// Ready asks buildkitd whether it is there, new enough, and has a worker.
func (s *Solver) Ready(ctx context.Context) error {
	if err := s.logins.Check(); err != nil {
		return err
	}
	workers, err := s.client.ListWorkers(ctx)
	if err != nil {
		return fmt.Errorf("buildkitd at %s does not answer: start it, or correct the address: %w", s.config.Address, err)
	}
	if len(workers) == 0 {
		return fmt.Errorf("buildkitd at %s has no worker: look at its log", s.config.Address)
	}
	for _, w := range workers {
		if err := supported(w.BuildkitVersion); err != nil {
			return fmt.Errorf("buildkitd at %s: %w", s.config.Address, err)
		}
	}
	return nil
}

// roomy is what MakeRoom leaves free: more than builds need.
const roomy = 2 << 30

// MakeRoom prunes buildkitd's cache. What builds that run use stays.
func (s *Solver) MakeRoom(ctx context.Context) error {
	if err := s.client.Prune(ctx, nil, client.WithKeepOpt(0, 0, 0, roomy)); err != nil {
		return fmt.Errorf("pruning the cache of buildkitd at %s: %w", s.config.Address, err)
	}
	return nil
}

// StepNetwork says what network the RUN steps of buildkitd have, for people.
func (s *Solver) StepNetwork(ctx context.Context) (string, error) {
	workers, err := s.client.ListWorkers(ctx)
	if err != nil {
		return "", fmt.Errorf("buildkitd at %s does not answer: start it, or correct the address: %w", s.config.Address, err)
	}
	for _, w := range workers {
		if w.Labels[label.Network] == "host" {
			return "build steps share the network of its machine: a RUN reaches what listens on the loopback there", nil
		}
	}
	return "build steps have a network of their own", nil
}

// Tag puts a tag on a pushed image.
func (s *Solver) Tag(ctx context.Context, image messages.Image, tag string) error {
	// A credential helper that hangs outlasts the context. Then it is left behind.
	done := make(chan error, 1)
	go func() { done <- s.registry.tag(ctx, image, tag) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("tagging %s as %s: %w", image, tag, context.Cause(ctx))
	}
}

// Solve does b.
func (s *Solver) Solve(ctx context.Context, b builder.Build) (builder.Solved, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := s.newRun(b)
	if err != nil {
		return builder.Solved{}, err
	}
	defer r.progress.close()
	type outcome struct {
		solved builder.Solved
		err    error
	}
	// BuildKit's calls outlast their context when buildkitd hangs. Then they are left behind.
	done := make(chan outcome, 1)
	go func() {
		solved, err := r.do(ctx)
		done <- outcome{solved, err}
	}()
	go s.watch(ctx, cancel)
	select {
	case o := <-done:
		if o.err != nil && ctx.Err() != nil {
			return builder.Solved{}, context.Cause(ctx)
		}
		return o.solved, o.err
	case <-ctx.Done():
		return builder.Solved{}, context.Cause(ctx)
	}
}

// watch ends a build whose buildkitd gives no sign of life.
func (s *Solver) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.config.Watch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			_, _ = s.client.Info(tracing.Untraced(ctx)) // that it refuses shows in the build's own calls
		}()
		select {
		case <-ctx.Done():
			return
		case <-answered:
		case <-time.After(s.config.Watch):
			cancel(&builder.FailedError{Failure: messages.Failure{
				Class:  messages.FailureInfrastructure,
				Reason: fmt.Sprintf("buildkitd at %s has given no sign of life for %v", s.config.Address, s.config.Watch),
				Fix:    "look at its log, and restart it",
			}})
			return
		}
	}
}
