package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func newRunCmd() *cobra.Command {
	return family("run", "Run one role, against an outside NATS, registry and buildkitd",
		"  fenceline run builder --nats nats://core:4222 --user builder --password-file /etc/fenceline/builder \\\n    --buildkit tcp://build1:1234",
		newRunProducerCmd(), newRunBuilderCmd(), newRunControllerCmd(), newRunDistributorCmd())
}

// natsFlags say how a role reaches NATS.
type natsFlags struct {
	url, user, passwordFile, credentialsFile string
	caFile, certFile, keyFile                string
	prefix, inboxPrefix, health              string
	grace                                    time.Duration
	verbose                                  bool
}

func (f *natsFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.url, "nats", "", "NATS server, nats://HOST:PORT (several, comma-separated, for a cluster)")
	fs.StringVar(&f.user, "user", "", "NATS user")
	fileVar(fs, &f.passwordFile, "password-file", "", "file with the NATS user's password")
	fileVar(fs, &f.credentialsFile, "credentials-file", "", "NATS .creds file, instead of user and password")
	fileVar(fs, &f.caFile, "ca-file", "", "certificate authority of the NATS server, in place of the system's")
	fileVar(fs, &f.certFile, "cert-file", "", "certificate that the NATS server asks of its clients")
	fileVar(fs, &f.keyFile, "key-file", "", "private key of that certificate")
	prefixVar(fs, &f.prefix, "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	fs.StringVar(&f.inboxPrefix, "inbox-prefix", "", "prefix of the inboxes that the NATS user may read (default: as 'fenceline init' grants it)")
	fs.StringVar(&f.health, "health-listen", "", "HOST:PORT that serves /healthz and /readyz")
	graceFlag(fs, &f.grace)
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	need(fs, "nats")
	explain(fs, "password-file", "Whoever the role runs as must be able to read it, and nobody else.")
	explain(fs, "cert-file", "In PEM; read at each connection.")
	explain(fs, "key-file", "In PEM, without a passphrase; read at each connection.")
	explain(fs, "health-listen", "Anyone who reaches it may ask.")
}

func (f *natsFlags) connect(ctx context.Context, role, name, inboxPrefix string, log zerolog.Logger) (*queue.Client, error) {
	space, err := messages.NewSpace(f.prefix)
	if err != nil {
		return nil, usageError{err}
	}
	var password messages.Secret
	if f.passwordFile != "" {
		if password, err = readPassword(f.passwordFile); err != nil {
			return nil, err
		}
	}
	if f.inboxPrefix != "" {
		inboxPrefix = f.inboxPrefix
	}
	return queue.Connect(ctx, queue.Options{
		URL: f.url, Name: "fenceline " + role + " " + name, User: f.user, Password: password,
		CredentialsFile: f.credentialsFile, CAFile: f.caFile, CertFile: f.certFile, KeyFile: f.keyFile, Space: space, Logger: part(log, role),
		Source: "/" + space.Prefix() + "/" + role + "/" + name, InboxPrefix: inboxPrefix,
	})
}

// wiring is how a role that runs by itself is made.
type wiring struct {
	user, name, inbox string // of its connection
	meant             string // the user that init makes for it
	layout            *store.Layout
	make              func(*queue.Client) (role, error)
}

// runRole makes cmd one that runs a role until it is told to stop. Wire tells how the role is
// made, once the flags are known, and finds what is wrong with them without a server.
func runRole(cmd *cobra.Command, f *natsFlags, wire func(log zerolog.Logger) (wiring, error)) *cobra.Command {
	f.add(cmd)
	settingsFlag(cmd.Flags())
	cmd.Args = args(0, 0)
	cmd.Long += settingsNote("password-file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := given(cmd); err != nil {
			return err
		}
		if err := required(cmd); err != nil {
			return err
		}
		log := newLogger(cmd.ErrOrStderr(), f.verbose)
		w, err := wire(log)
		if err != nil {
			return err
		}
		q, err := f.reach(cmd.Context(), w, natsPatience, log)
		if err != nil {
			return ended(cmd.Context(), err)
		}
		defer q.Close()
		r, err := w.make(q)
		if err != nil {
			return named(err)
		}
		return f.serve(cmd.Context(), q, r, log)
	}
	return cmd
}

// How a role that starts waits for NATS: machines of an installation start in any order. It
// ends then, for whoever watches over it to see and to start it again.
const (
	natsPatience  = 20 * time.Second
	natsFirstWait = 250 * time.Millisecond
	natsMostWait  = 4 * time.Second
)

// reach connects, and declares what the role declares, again and again while NATS does not
// answer, for as long as patience lasts.
func (f *natsFlags) reach(ctx context.Context, w wiring, patience time.Duration, log zerolog.Logger) (*queue.Client, error) {
	end := time.Now().Add(patience)
	for wait := natsFirstWait; ; wait = min(2*wait, natsMostWait) {
		q, err := f.reachOnce(ctx, w, log)
		if errors.Is(err, queue.ErrForbidden) {
			err = fmt.Errorf("%w; a %s is to run as the user %q that 'fenceline init' makes, or one with its permissions", err, w.user, w.meant)
		}
		if !errors.Is(err, queue.ErrUnavailable) || time.Now().Add(wait).After(end) {
			return q, err
		}
		log.Warn().Err(err).Str("again_in", wait.String()).Msgf("no NATS yet: trying again for %s", time.Until(end).Round(time.Second))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (f *natsFlags) reachOnce(ctx context.Context, w wiring, log zerolog.Logger) (*queue.Client, error) {
	q, err := f.connect(ctx, w.user, w.name, w.inbox, log)
	if err != nil {
		return nil, err
	}
	if err = q.Ready(ctx); err == nil && w.layout != nil {
		err = store.Declare(ctx, q, *w.layout)
	}
	if err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// serve runs the role, and beside it the answers about its health.
func (f *natsFlags) serve(ctx context.Context, q *queue.Client, r role, log zerolog.Logger) error {
	clock := store.NewClock(q)
	parts := []func(context.Context) error{r.Run, func(ctx context.Context) error {
		if err := trimLater(ctx); err != nil {
			log.Debug().Err(err).Msg("memory is kept")
		}
		return nil
	}, func(ctx context.Context) error {
		return watchClock(ctx, func(ctx context.Context) (time.Duration, error) { return clockAhead(ctx, clock) }, clockEvery, log)
	}}
	if f.health != "" {
		l, err := standalone.Listen(standalone.ServiceHTTP, f.health)
		if err != nil {
			return fmt.Errorf("--health-listen: %w", err)
		}
		parts = append(parts, func(ctx context.Context) error { return serveHealth(ctx, l, r) })
	}
	log.Info().Msg("running")
	err := together(ctx, f.grace+stopMargin, parts...)
	log.Info().Msg("stopped")
	return err
}

// serveHealth answers /healthz and /readyz until ctx ends.
func serveHealth(ctx context.Context, l net.Listener, r role) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", readyz([]role{r}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"ok":true}`) })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: readyTime, ReadTimeout: readyTime, WriteTimeout: 2 * readyTime}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}

// layoutFlags size the streams and buckets that a role declares.
type layoutFlags struct {
	replicas int
	nodeTTL  time.Duration
}

func (f *layoutFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.replicas, "replicas", 0, "copies of each stream and bucket in a NATS cluster (default 1)")
	cmd.Flags().DurationVar(&f.nodeTTL, "node-ttl", 0, "how long a node's last heartbeat is kept (default 30s)")
}

func (f *layoutFlags) layout() *store.Layout {
	return &store.Layout{Replicas: f.replicas, NodeTTL: f.nodeTTL}
}

func newRunProducerCmd() *cobra.Command {
	var n natsFlags
	var p producerFlags
	var l layoutFlags
	cmd := &cobra.Command{
		Use: "producer", Short: "Turn webhooks and calls into build requests",
		Long: "Takes webhooks and calls over HTTP and stores build requests in JetStream.",
		Example: `  fenceline run producer --nats nats://core:4222 --user producer --password-file /etc/fenceline/producer \
    --config /etc/fenceline/fenceline.yaml --listen 0.0.0.0:8440 --token-file /etc/fenceline/api-token`,
	}
	p.add(cmd.Flags())
	fileVar(cmd.Flags(), &p.tokenFile, "token-file", "", "file with the token for calls; without it there are none")
	l.add(cmd)
	return runRole(cmd, &n, func(log zerolog.Logger) (wiring, error) {
		p.grace = n.grace
		pipelines, err := p.pipelines(log)
		return wiring{userProducer, hostLabel(), inbox(userProducer), userProducer, l.layout(), func(q *queue.Client) (role, error) {
			listener, err := standalone.Listen(standalone.ServiceHTTP, p.listen)
			if err != nil {
				return nil, err
			}
			log.Info().Str("listen", listener.Addr().String()).Int("pipelines", len(pipelines.All())).Msg("producer")
			return p.make(q, pipelines, listener, log)
		}}, err
	})
}

// defaultBuildkit is where a buildkitd listens that was told nothing else.
const defaultBuildkit = "unix:///run/buildkit/buildkitd.sock"

func newRunBuilderCmd() *cobra.Command {
	var n natsFlags
	var b builderFlags
	cmd := &cobra.Command{
		Use: "builder", Short: "Build, check, push and announce images",
		Long: "Takes build requests, one per free slot, and does them with a buildkitd.",
		Example: `  fenceline run builder --nats nats://core:4222 --user builder --password-file /etc/fenceline/builder \
    --buildkit unix:///run/buildkit/buildkitd.sock`,
	}
	b.add(cmd.Flags())
	cmd.Flags().StringVar(&b.name, "name", hostLabel(), "this builder's name, in records and events")
	cmd.Flags().StringVar(&b.buildkit, "buildkit", defaultBuildkit, "address of the buildkitd")
	folderVar(cmd.Flags(), &b.dockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	explain(cmd.Flags(), "docker-config", "As docker login writes it; read at each build. The programs of its credential helpers must be installed.")
	defaultsTo(cmd.Flags(), "name", "the host's name")
	return runRole(cmd, &n, func(log zerolog.Logger) (wiring, error) {
		b.grace = n.grace
		return wiring{userBuilder, b.name, inbox(userBuilder), userBuilder, nil, func(q *queue.Client) (role, error) { return b.make(q, log) }}, nil
	})
}

func newRunControllerCmd() *cobra.Command {
	var n natsFlags
	var c controllerFlags
	var l layoutFlags
	cmd := &cobra.Command{
		Use: "controller", Short: "Own rollouts: waves, quorum, flip, soak, rollback",
		Long:    "Advances rollouts and drives the fence config. Of several, one acts at a time.",
		Example: `  fenceline run controller --nats nats://core:4222 --user controller --password-file /etc/fenceline/controller`,
	}
	c.add(cmd.Flags())
	cmd.Flags().StringVar(&c.name, "name", hostLabel()+"-"+messages.NewID(), "this controller's name, different from all others")
	defaultsTo(cmd.Flags(), "name", "the host's name and something random")
	l.add(cmd)
	return runRole(cmd, &n, func(log zerolog.Logger) (wiring, error) {
		c.layout = *l.layout()
		return wiring{userController, c.name, inbox(userController), userController, &c.layout, func(q *queue.Client) (role, error) { return c.make(q, log) }}, nil
	})
}

func newRunDistributorCmd() *cobra.Command {
	var n natsFlags
	var d distributorFlags
	cmd := &cobra.Command{
		Use: "distributor", Short: "Pull images on a node, prove that it holds them, run trials",
		Long: "Runs on every node, beside its Docker engine.",
		Example: `  fenceline run distributor --nats nats://core:4222 --user production.node-7 \
    --password-file /etc/fenceline/production.node-7 --fleet production --node node-7`,
	}
	d.add(cmd.Flags())
	folderVar(cmd.Flags(), &d.dockerConfig, "docker-config", "", "folder of the config.json with the registries' logins for pulls")
	explain(cmd.Flags(), "docker-config", "As docker login writes it; read at each pull. Credential helpers are refused.")
	return runRole(cmd, &n, func(log zerolog.Logger) (wiring, error) {
		return wiring{roleDistributor, d.node, nodeInbox(d.fleet, d.node), messages.NodeKey(d.fleet, d.node), nil, func(q *queue.Client) (role, error) { return d.make(q, log) }}, nil
	})
}
