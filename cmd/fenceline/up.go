package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/console"
	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newUpCmd() *cobra.Command {
	var s settings.Up
	cmd := &cobra.Command{
		Use: settings.Everything, Short: "Run everything on this machine",
		Long: `Runs all roles in one process over an embedded NATS server and an embedded registry,
with buildkitd as a child and this machine's Docker engine as the node. State is kept in
one folder, and used again next time.` + settings.FileNote("nats-listen"),
		Example: "  fenceline up --config fenceline.yaml",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := settings.Complete(cmd.Flags(), settings.Everything); err != nil {
				return err
			}
			if err := ownBuildkitd(cmd.Flags(), s.Buildkitd); err != nil {
				return err
			}
			return up(cmd.Context(), &s, cmd.Flags(), cmd.ErrOrStderr())
		},
	}
	s.Add(cmd.Flags())
	return cmd
}

// ownBuildkitd refuses what is said of a buildkitd that `up` starts where it is told to use one that runs.
func ownBuildkitd(given *pflag.FlagSet, buildkitd string) error {
	if !standalone.IsAddress(buildkitd) {
		return nil
	}
	for _, name := range []string{"step-network", "step-memory-bytes", "step-processes"} {
		if given.Changed(name) {
			return settings.Usagef("--%s is for a buildkitd that this one starts: leave it out, or say it to the one at --buildkitd %s", name, buildkitd)
		}
	}
	return nil
}

func up(ctx context.Context, s *settings.Up, given *pflag.FlagSet, stderr io.Writer) error {
	log := cli.NewLogger(stderr, s.Verbose)
	space, err := messages.NewSpace(s.Prefix)
	if err != nil {
		return settings.Usage(err)
	}
	if err := distributor.CheckInterval(s.Distributor.Interval, cmp.Or(s.NodeTTL, store.DefaultNodeTTL)); err != nil {
		return settings.Usage(err)
	}
	if err := s.Distributor.Pull.Check(); err != nil {
		return err
	}
	if _, err := standalone.ParseStepNetwork(s.StepNetwork); err != nil {
		return settings.Usagef("--step-network: %w", err)
	}
	if s.StepMemoryBytes < 0 || s.StepProcesses < 0 {
		return settings.Usagef("--step-memory-bytes and --step-processes are bounds: give 0 for none, or more")
	}
	places, err := backends.New(s.Controller.Fence)
	if err != nil {
		return err
	}
	tracer, err := makeTracer(ctx, "fenceline", s.Distributor.Node, log)
	if err != nil {
		return err
	}
	defer tracer.Close()
	u := &upRun{
		places: places, settings: s, given: given, space: space, tracer: tracer, log: log,
		monitor: newMonitor(s.HealthListen, settings.RoleProducer, settings.RoleController, settings.RoleDistributor, settings.RoleBuilder, settings.RoleStatuses, settings.RoleConsole),
	}
	err = u.all(ctx, stderr)
	if !u.started {
		err = stoppedAtStart(ctx, err, log)
	}
	return err
}

// all opens the state folder, starts the servers and the roles, runs them until ctx ends, and ends what it started.
func (u *upRun) all(ctx context.Context, stderr io.Writer) (err error) {
	s := u.settings
	u.state, err = standalone.OpenState(s.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.state.Close()) }()
	s.Builder.SecretsDir, s.Builder.Reach = s.Producer.SecretsDir, s.Producer.Reach
	entry, err := loadEntry(&s.Producer.Listener, u.log)
	if err != nil {
		return err
	}
	if u.provider, err = loadProvider(&s.Console.OIDC, u.log); err != nil {
		return err
	}
	pipelines, err := loadPipelines(&s.Producer, u.given, u.log)
	if err != nil {
		return err
	}
	u.stack, err = startServers(ctx, s, u.state, u.space, u.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.stack.Stop()) }()
	if err := entry.listen(&s.Producer.Listener); err != nil {
		return err
	}
	defer entry.listener.Close()
	if u.monitor.listens() {
		if err := u.monitor.listen(); err != nil {
			return err
		}
		defer u.monitor.listener.Close()
	}
	if s.ConsoleListen != "" {
		u.console = &httpEntry{certificate: entry.certificate, forwarding: entry.forwarding}
		if u.console.listener, err = standalone.Listen(standalone.ServiceConsole, s.ConsoleListen); err != nil {
			return err
		}
		defer u.console.listener.Close()
	}
	defer u.close()
	roles, err := u.roles(ctx, &httpProducer{&s.Producer, s.Grace, pipelines, entry, attended(stderr), u.log})
	if err != nil {
		return err
	}
	if err := u.announce(stderr, entry); err != nil {
		return err
	}
	u.started = true
	return u.run(ctx, roles)
}

// startServers starts the servers that the roles need.
func startServers(ctx context.Context, s *settings.Up, state *standalone.State, space messages.Space, log zerolog.Logger) (*standalone.Stack, error) {
	standalone.RedirectLogrus(part(log, "registry"))
	buildkitd, runc := s.Buildkitd, s.Runc
	if !standalone.IsAddress(buildkitd) {
		var err error
		if buildkitd, err = standalone.FindProgram("buildkitd", buildkitd, state.Path("bin")); err != nil {
			return nil, err
		}
		if runc, err = standalone.FindProgram("runc", runc, state.Path("bin")); err != nil {
			return nil, err
		}
	}
	d := &s.Distributor
	node := store.User{Name: settings.UserNode, May: store.NodePermissions(space, d.Fleet, d.Node, settings.NodeInbox(d.Fleet, d.Node))}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return standalone.Start(ctx, standalone.Config{
		State: state, NATS: s.NATSListen, Registry: s.RegistryListen, Buildkitd: buildkitd, Runc: runc, Logger: log,
		Accounts: settings.Accounts(space, []store.User{node}),
		Program:  program, StepNetwork: standalone.StepNetwork(s.StepNetwork),
		StepLimits: standalone.BuildLimits{Memory: s.StepMemoryBytes, Processes: s.StepProcesses},
	})
}

// upRun is a running `up`.
type upRun struct {
	places   *backends.Backends
	settings *settings.Up
	given    *pflag.FlagSet
	state    *standalone.State
	stack    *standalone.Stack
	space    messages.Space
	tracer   *tracing.Tracer
	log      zerolog.Logger
	clients  []*queue.Client
	monitor  *monitor
	console  *httpEntry     // nil for none
	provider *oidc.Provider // by which people sign in to it, too; nil for none
	invited  string         // the address that signs a person in to the console, once
	started  bool           // the roles
}

// roleOf is the role that a user is for.
func roleOf(user string) string {
	if user == settings.UserNode {
		return settings.RoleDistributor
	}
	return user
}

func (u *upRun) connect(ctx context.Context, user, inboxPrefix string) (*queue.Client, error) {
	c, err := queue.Connect(ctx, queue.Options{
		InProcess: u.stack.NATS(), Name: "fenceline " + user, User: user, Password: u.stack.Password(user), Space: u.space,
		Source: "/" + u.space.Prefix() + "/" + user + "/" + u.settings.Distributor.Node, InboxPrefix: inboxPrefix, Logger: part(u.log, user),
		Observer: u.monitor.observer(roleOf(user)),
		Asks:     user == settings.UserProducer || user == settings.UserBuilder || user == settings.UserStatuses,
	})
	if err == nil {
		u.clients = append(u.clients, c)
	}
	return c, err
}

// roles makes every role, each over a connection with its own rights.
func (u *upRun) roles(ctx context.Context, producer *httpProducer) ([]role, error) {
	s := u.settings
	if _, err := u.state.Secret(secretToken); err != nil {
		return nil, err
	}
	s.Producer.TokenFile = u.state.SecretFile(secretToken)
	s.Builder.Name, s.Controller.Name = s.Distributor.Node, s.Distributor.Node
	s.Builder.Buildkit, s.Builder.DockerConfig = u.stack.BuildkitdAddress(), u.stack.RegistryLogin()
	s.Builder.Room, s.Builder.Afresh = u.stack.RoomForBuilds, u.stack.StartBuildkitdAgain
	s.Distributor.DockerConfig = u.stack.RegistryPulls()
	s.Producer.DockerConfig, s.Producer.Registries = u.stack.RegistryPulls(), s.Builder.Registries
	layout := store.Layout{AckWait: s.Builder.AckWait, NodeTTL: s.NodeTTL}
	declarer, err := u.connect(ctx, settings.UserController, settings.Inbox(settings.UserController))
	if err != nil {
		return nil, err
	}
	if err := store.Declare(ctx, declarer, layout); err != nil {
		return nil, cli.Roomier(err, u.state.Path())
	}
	declarer.Close()
	q, err := u.connect(ctx, settings.UserProducer, settings.Inbox(settings.UserProducer))
	if err != nil {
		return nil, err
	}
	p, err := producer.make(u.means(q))
	if err != nil {
		return nil, err
	}
	u.monitor.add(settings.RoleProducer, q, p)
	roles := []role{p}
	for _, r := range []struct {
		user, inbox string
		make        func(means) (role, error)
	}{
		{settings.UserController, settings.Inbox(settings.UserController), func(m means) (role, error) { return makeController(&s.Controller, u.places, layout, m) }},
		{settings.UserNode, settings.NodeInbox(s.Distributor.Fleet, s.Distributor.Node), func(m means) (role, error) { return makeDistributor(&s.Distributor, u.state.Path(), m) }},
		{settings.UserBuilder, settings.Inbox(settings.UserBuilder), func(m means) (role, error) { return makeBuilder(&s.Builder, s.Grace, m) }},
	} {
		q, err := u.connect(ctx, r.user, r.inbox)
		if err != nil {
			return nil, err
		}
		made, err := r.make(u.means(q))
		if err != nil {
			return nil, err
		}
		u.monitor.add(roleOf(r.user), q, made)
		roles = append(roles, made)
	}
	told, err := u.statuses(ctx)
	if err != nil {
		return nil, err
	}
	roles = append(roles, told)
	if u.console != nil {
		made, err := u.makeConsole(ctx)
		if err != nil {
			return nil, err
		}
		roles = append(roles, made)
	}
	p.serveReady(roles)
	return roles, nil
}

// statuses makes the worker that tells forges, where a pipeline says whom, or will.
func (u *upRun) statuses(ctx context.Context) (role, error) {
	file, targets, err := statusTargets(&u.settings.Producer.PipelineFiles, u.given, u.log)
	if err != nil {
		return nil, err
	}
	q, err := u.connect(ctx, settings.UserStatuses, settings.Inbox(settings.UserStatuses))
	if err != nil {
		return nil, err
	}
	made, err := makeStatuses(u.settings.Distributor.Node+"-"+messages.NewID(), file, targets, u.means(q))
	if err == nil {
		u.monitor.add(settings.RoleStatuses, q, made)
	}
	return made, err
}

func (u *upRun) means(q *queue.Client) means { return means{q, u.monitor.registry, u.tracer, u.log} }

// makeConsole makes the console, and a link that signs in whoever started this.
func (u *upRun) makeConsole(ctx context.Context) (role, error) {
	s := &u.settings.Console
	s.TokensFile = cmp.Or(s.TokensFile, cli.ConsoleTokens(u.state.Path()))
	s.DockerConfig, s.Registries = u.stack.RegistryPulls(), u.settings.Builder.Registries
	q, err := u.connect(ctx, settings.UserConsole, settings.Inbox(settings.UserConsole))
	if err != nil {
		return nil, err
	}
	made, err := makeConsole(s, u.provider, u.console, false, u.settings.Grace, u.means(q))
	if err != nil {
		return nil, err
	}
	u.monitor.add(settings.RoleConsole, q, made)
	u.invited = u.console.url() + made.Invite(console.Person{Name: cli.WhoAmI(), Role: tokens.Operator, Via: "link of up"})
	return made, nil
}

// secretToken is the secret that calls to the producer are made with.
const secretToken = "api-token"

// announce says how to reach what now runs, to commands and to people.
func (u *upRun) announce(w io.Writer, entry *httpEntry) error {
	c := standalone.Client{
		NATS: u.stack.NATS().URL(), User: settings.UserOperator, PasswordFile: u.state.SecretFile(settings.UserOperator),
		Prefix: u.space.Prefix(), Producer: entry.url(), ProducerCertFile: entry.certFile(), TokenFile: u.state.SecretFile(secretToken),
		Registry: u.stack.RegistryAddress(), DockerConfig: u.stack.RegistryPulls(), Buildkit: u.stack.BuildkitdAddress(),
	}
	if err := u.state.WriteClient(c); err != nil {
		return err
	}
	u.log.Info().Str("producer", c.Producer).Str("registry", c.Registry).Str("nats", c.NATS).Str("state", u.state.Path()).
		Str("fleet", u.settings.Distributor.Fleet).Str("node", u.settings.Distributor.Node).
		Msg("up: try 'fenceline status' and 'fenceline watch' in another terminal")
	if u.console != nil {
		u.log.Info().Str("console", u.console.url()).Str("sign_in_once", u.invited).Msg("the console: this link signs you in, once, within 15 minutes; 'fenceline console token' makes tokens")
	}
	return nil
}

// run runs the roles until ctx ends or one fails, and returns when all have ended.
func (u *upRun) run(ctx context.Context, roles []role) error {
	parts := []func(context.Context) error{u.stack.Wait, giveBack}
	if u.monitor.listens() {
		u.monitor.registry.State(func() int64 { return standalone.FreeBytes(u.state.Path()) })
		parts = append(parts, u.monitor.serve)
	}
	for _, r := range roles {
		parts = append(parts, r.Run)
	}
	err := runTogether(ctx, u.settings.Grace+settings.StopMargin, parts...)
	u.log.Info().Msg("stopped")
	return err
}

func (u *upRun) close() {
	for _, c := range u.clients {
		c.Close()
	}
}
