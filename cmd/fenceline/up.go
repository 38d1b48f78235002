package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// upFlags configure everything on one machine.
type upFlags struct {
	state, natsListen, registryListen, buildkitd, runc, prefix string
	grace                                                      time.Duration
	verbose                                                    bool
	producer                                                   producerFlags
	builder                                                    builderFlags
	controller                                                 controllerFlags
	distributor                                                distributorFlags
}

func newUpCmd() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use: "up", Short: "Run everything on this machine",
		Long: `Runs all roles in one process over an embedded NATS server and an embedded registry,
with buildkitd as a child and this machine's Docker engine as the node. State is kept in
one folder, and used again next time.` + settingsNote("nats-listen"),
		Example: "  fenceline up --config fenceline.yaml",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := given(cmd); err != nil {
				return err
			}
			return f.up(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	fs := cmd.Flags()
	folderVar(fs, &f.state, "state", stateDir(), "state folder [$"+stateVar+"]")
	fs.StringVar(&f.natsListen, "nats-listen", "127.0.0.1:8442", "HOST:PORT of the NATS server; port 0 takes a free one")
	fs.StringVar(&f.registryListen, "registry-listen", "127.0.0.1:8441", "HOST:PORT of the registry; port 0 takes a free one")
	pathVar(fs, kindProgram, &f.buildkitd, "buildkitd", "", "a buildkitd to start, or the address of one that runs (default: from the state folder's bin, or $PATH)")
	pathVar(fs, kindProgram, &f.runc, "runc", "", "the runc of that buildkitd (default: as for --buildkitd)")
	prefixVar(fs, &f.prefix, "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	graceFlag(fs, &f.grace)
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	defaultsTo(fs, "state", ".fenceline")
	settingsFlag(fs)
	f.producer.add(fs)
	f.builder.add(fs)
	f.controller.add(fs)
	f.distributor.add(fs)
	return cmd
}

// The users of the embedded NATS server: a role each, and people.
const (
	userOperator   = "operator"
	userProducer   = "producer"
	userBuilder    = "builder"
	userController = "controller"
	userNode       = "node"
)

// roleDistributor is the role whose users are the nodes.
const roleDistributor = "distributor"

func inbox(user string) string { return "_INBOX_" + user }

// inboxOf is the prefix of the inboxes that one of init's users may read; "" is NATS's own,
// which an operator and users of other names have.
func inboxOf(user string) string {
	switch user {
	case userProducer, userBuilder, userController:
		return inbox(user)
	}
	if fleet, node, err := messages.ParseNodeKey(user); err == nil {
		return nodeInbox(fleet, node)
	}
	return ""
}

func (f *upFlags) up(ctx context.Context, stderr io.Writer) (err error) {
	log := newLogger(stderr, f.verbose)
	space, err := messages.NewSpace(f.prefix)
	if err != nil {
		return usageError{err}
	}
	state, err := standalone.OpenState(f.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	f.builder.secretsDir = f.producer.secretsDir
	f.producer.grace, f.builder.grace = f.grace, f.grace
	pipelines, err := f.producer.pipelines(log)
	if err != nil {
		return err
	}
	stack, err := f.start(ctx, state, space, log)
	if err != nil {
		return named(err)
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	listener, err := standalone.Listen(standalone.ServiceHTTP, f.producer.listen)
	if err != nil {
		return named(err)
	}
	defer listener.Close()
	u := &upRun{flags: f, state: state, stack: stack, space: space, log: log}
	defer u.close()
	roles, err := u.roles(ctx, func(q *queue.Client) (*httpRole, error) { return f.producer.make(q, pipelines, listener, log) })
	if err != nil {
		return err
	}
	if err := u.announce(stderr, listener); err != nil {
		return err
	}
	return u.run(ctx, roles)
}

// start starts the servers that the roles need.
func (f *upFlags) start(ctx context.Context, state *standalone.State, space messages.Space, log zerolog.Logger) (*standalone.Stack, error) {
	standalone.RedirectLogrus(part(log, "registry"))
	buildkitd, runc := f.buildkitd, f.runc
	if !strings.Contains(buildkitd, "://") {
		var err error
		if buildkitd, err = standalone.FindProgram("buildkitd", buildkitd, state.Path("bin")); err != nil {
			return nil, err
		}
		if runc, err = standalone.FindProgram("runc", runc, state.Path("bin")); err != nil {
			return nil, err
		}
	}
	user := func(name string, p store.Permissions) standalone.User {
		return standalone.User{Name: name, Publish: p.Publish, Subscribe: p.Subscribe}
	}
	node := store.NodePermissions(space, f.distributor.fleet, f.distributor.node, nodeInbox(f.distributor.fleet, f.distributor.node))
	return standalone.Start(ctx, standalone.Config{
		State: state, NATS: f.natsListen, Registry: f.registryListen, Buildkitd: buildkitd, Runc: runc, Logger: log,
		Users: []standalone.User{
			user(userOperator, store.OperatorPermissions(space, "_INBOX")),
			user(userProducer, store.ProducerPermissions(space, inbox(userProducer))),
			user(userBuilder, store.BuilderPermissions(space, inbox(userBuilder))),
			user(userController, store.ControllerPermissions(space, inbox(userController))),
			user(userNode, node),
		},
	})
}

// named adds to an error of a service that can't listen which flag moves it.
func named(err error) error {
	var at *standalone.ListenError
	if !errors.As(err, &at) {
		return err
	}
	flag := map[standalone.Service]string{
		standalone.ServiceHTTP: "listen", standalone.ServiceRegistry: "registry-listen", standalone.ServiceNATS: "nats-listen",
	}[at.Service]
	return fmt.Errorf("%w: stop it, or choose another with --%s", err, flag)
}

// upRun is a running `up`.
type upRun struct {
	flags   *upFlags
	state   *standalone.State
	stack   *standalone.Stack
	space   messages.Space
	log     zerolog.Logger
	clients []*queue.Client
}

func (u *upRun) connect(ctx context.Context, user, inboxPrefix string) (*queue.Client, error) {
	c, err := queue.Connect(ctx, queue.Options{
		InProcess: u.stack.NATS(), Name: "fenceline " + user, User: user, Password: u.stack.Password(user), Space: u.space,
		Source: "/" + u.space.Prefix() + "/" + user + "/" + u.flags.distributor.node, InboxPrefix: inboxPrefix, Logger: part(u.log, user),
	})
	if err == nil {
		u.clients = append(u.clients, c)
	}
	return c, err
}

// roles makes every role, each over a connection with its own rights.
func (u *upRun) roles(ctx context.Context, makeProducer func(*queue.Client) (*httpRole, error)) ([]role, error) {
	f := u.flags
	if _, err := u.state.Secret(secretToken); err != nil {
		return nil, err
	}
	f.producer.tokenFile = u.state.SecretFile(secretToken)
	f.builder.name, f.controller.name = f.distributor.node, f.distributor.node
	f.builder.buildkit, f.builder.dockerConfig = u.stack.BuildkitdAddress(), u.stack.RegistryLogin()
	q, err := u.connect(ctx, userProducer, inbox(userProducer))
	if err != nil {
		return nil, err
	}
	if err := store.Declare(ctx, q, store.Layout{}); err != nil {
		return nil, u.roomier(err)
	}
	p, err := makeProducer(q)
	if err != nil {
		return nil, err
	}
	roles := []role{p}
	for _, r := range []struct {
		user, inbox string
		make        func(*queue.Client) (role, error)
	}{
		{userController, inbox(userController), func(q *queue.Client) (role, error) { return f.controller.make(q, u.log) }},
		{userNode, nodeInbox(f.distributor.fleet, f.distributor.node), func(q *queue.Client) (role, error) { return f.distributor.make(q, u.log) }},
		{userBuilder, inbox(userBuilder), func(q *queue.Client) (role, error) { return f.builder.make(q, u.log) }},
	} {
		q, err := u.connect(ctx, r.user, r.inbox)
		if err != nil {
			return nil, err
		}
		made, err := r.make(q)
		if err != nil {
			return nil, err
		}
		roles = append(roles, made)
	}
	p.serveReady(roles)
	return roles, nil
}

// roomier says of an error for want of room what would be enough: JetStream wants to see 4/3 of
// what streams may take free before it makes them.
func (u *upRun) roomier(err error) error {
	var room *queue.RoomError
	if !errors.As(err, &room) {
		return err
	}
	return fmt.Errorf("declaring stream %s: %w: the disk of %s has too little free: make room for %s, or take a folder elsewhere with --state",
		room.Stream, queue.ErrFull, u.state.Path(), size(room.Needed/3*4))
}

// secretToken is the secret that calls to the producer are made with.
const secretToken = "api-token"

// announce says how to reach what now runs, to commands and to people.
func (u *upRun) announce(w io.Writer, http net.Listener) error {
	c := standalone.Client{
		NATS: u.stack.NATS().URL(), User: userOperator, PasswordFile: u.state.SecretFile(userOperator),
		Prefix: u.space.Prefix(), Producer: "http://" + http.Addr().String(), TokenFile: u.state.SecretFile(secretToken),
		Registry: u.stack.RegistryAddress(), Buildkit: u.stack.BuildkitdAddress(),
	}
	if err := u.state.WriteClient(c); err != nil {
		return err
	}
	u.log.Info().Str("producer", c.Producer).Str("registry", c.Registry).Str("nats", c.NATS).Str("state", u.state.Path()).
		Str("fleet", u.flags.distributor.fleet).Str("node", u.flags.distributor.node).
		Msg("up: try 'fenceline status' and 'fenceline watch' in another terminal")
	return nil
}

// run runs the roles until ctx ends or one fails, and returns when all have ended.
func (u *upRun) run(ctx context.Context, roles []role) error {
	parts := []func(context.Context) error{u.stack.Wait}
	for _, r := range roles {
		parts = append(parts, r.Run)
	}
	err := together(ctx, u.flags.grace+stopMargin, parts...)
	u.log.Info().Msg("stopped")
	return err
}

func (u *upRun) close() {
	for _, c := range u.clients {
		c.Close()
	}
}
