package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func newRunCmd() *cobra.Command {
	return cli.Family("run", "Run one role, against an outside NATS, registry and buildkitd",
		"  fenceline run builder --nats nats://core:4222 --user builder --password-file /etc/fenceline/builder \\\n    --buildkit tcp://build1:1234",
		newRunProducerCmd(), newRunBuilderCmd(), newRunControllerCmd(), newRunDistributorCmd(), newRunStatusesCmd(), newRunConsoleCmd())
}

// wiring is how a role that runs by itself is made.
type wiring struct {
	caller cli.Caller
	meant  string        // the user that init makes for it
	layout *store.Layout // that it declares, or waits for where its user may make none
	make   func(means) (role, error)
}

// runRole makes cmd one that runs a role until it is told to stop. Wire tells how the role is
// made, once the flags are known, and finds what is wrong with them without a server.
func runRole(cmd *cobra.Command, f *settings.Run, wire func(log zerolog.Logger) (wiring, error)) *cobra.Command {
	cmd.Args = settings.Args(0, 0)
	cmd.Long += settings.FileNote("password-file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := settings.Complete(cmd.Flags(), cmd.Name()); err != nil {
			return err
		}
		if err := settings.Required(cmd.Flags()); err != nil {
			return err
		}
		log := cli.NewLogger(cmd.ErrOrStderr(), f.Verbose)
		tracer, err := makeTracer(cmd.Context(), "fenceline-"+cmd.Name(), settings.HostLabel(), log)
		if err != nil {
			return err
		}
		defer tracer.Close()
		w, err := wire(log)
		if err != nil {
			return err
		}
		m := newMonitor(f.HealthListen, w.caller.Role)
		w.caller.Observer = m.observer(w.caller.Role)
		q, err := reach(cmd.Context(), &f.NATS, w, natsPatience, log)
		if err != nil {
			return stoppedAtStart(cmd.Context(), err, log)
		}
		defer q.Close()
		r, err := w.make(means{q, m.registry, tracer, log})
		if err != nil {
			return err
		}
		m.add(w.caller.Role, q, r)
		if w.caller.Role == settings.RoleDistributor { // every node has one
			return serve(cmd.Context(), f, q, r, m, giveBack)
		}
		return serve(cmd.Context(), f, q, r, m)
	}
	return cmd
}

// makeTracer makes what the OTEL_… variables ask for; nil where they ask for nothing.
func makeTracer(ctx context.Context, service, instance string, log zerolog.Logger) (*tracing.Tracer, error) {
	t, err := tracing.FromEnvironment(ctx, tracing.Process{Service: service, Instance: instance, Version: cli.Version()}, log)
	if err != nil {
		return nil, settings.Usage(err)
	}
	return t, nil
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
func reach(ctx context.Context, n *settings.NATS, w wiring, patience time.Duration, log zerolog.Logger) (*queue.Client, error) {
	end := time.Now().Add(patience)
	for wait := natsFirstWait; ; wait = min(2*wait, natsMostWait) {
		q, err := reachOnce(ctx, n, w, log)
		if errors.Is(err, queue.ErrForbidden) {
			err = fmt.Errorf("%w; a %s is to run as the user %q that 'fenceline init' makes, or one with its permissions", err, w.caller.Role, w.meant)
		}
		if !errors.Is(err, queue.ErrUnavailable) || time.Now().Add(wait).After(end) {
			return q, err
		}
		log.Warn().Err(err).Str("again_in", wait.String()).Msgf("no NATS yet: trying again for %s", time.Until(end).Round(time.Second))
		if !queue.Pause(ctx, wait) {
			return nil, context.Cause(ctx)
		}
	}
}

func reachOnce(ctx context.Context, n *settings.NATS, w wiring, log zerolog.Logger) (*queue.Client, error) {
	q, err := cli.Connect(ctx, n, w.caller, part(log, w.caller.Role))
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
func serve(ctx context.Context, f *settings.Run, q *queue.Client, r role, m *monitor, more ...func(context.Context) error) error {
	log := *q.Logger()
	parts := append([]func(context.Context) error{r.Run, func(ctx context.Context) error { return cli.WatchClock(ctx, q, log) }}, more...)
	if m.listens() {
		if err := m.listen(); err != nil {
			return err
		}
		parts = append(parts, m.serve)
	}
	log.Info().Msg("running")
	err := runTogether(ctx, f.Grace+settings.StopMargin, parts...)
	log.Info().Msg("stopped")
	return err
}

func layout(l *settings.Layout) *store.Layout {
	return &store.Layout{Replicas: l.Replicas, NodeTTL: l.NodeTTL, AckWait: l.AckWait}
}

func newRunProducerCmd() *cobra.Command {
	var s settings.RunProducer
	cmd := &cobra.Command{
		Use: settings.RoleProducer, Short: "Turn webhooks and calls into build requests",
		Long: "Takes webhooks and calls over HTTP and stores build requests in JetStream.",
		Example: `  fenceline run producer --nats nats://core:4222 --user producer --password-file /etc/fenceline/producer \
    --config /etc/fenceline/fenceline.yaml --listen 0.0.0.0:8440 --token-file /etc/fenceline/api-token`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		entry, err := loadEntry(&s.Listener, log)
		if err != nil {
			return wiring{}, err
		}
		pipelines, err := loadPipelines(&s.Producer, cmd.Flags(), log)
		return wiring{callerOf(settings.RoleProducer, settings.HostLabel()), settings.UserProducer, &store.Layout{}, func(m means) (role, error) {
			if err := entry.listen(&s.Listener); err != nil {
				return nil, err
			}
			log.Info().Str("listen", entry.url()).Int("pipelines", len(pipelines.All())).Msg("producer")
			r, err := (&httpProducer{&s.Producer, s.Grace, pipelines, entry, attended(cmd.ErrOrStderr()), log}).make(m)
			if err != nil {
				return nil, err
			}
			r.spare = make([]byte, spareHeap)
			return r, nil
		}}, err
	})
}

func newRunBuilderCmd() *cobra.Command {
	var s settings.RunBuilder
	cmd := &cobra.Command{
		Use: settings.RoleBuilder, Short: "Build, check, push and announce images",
		Long: "Takes build requests, one per free slot, and does them with a buildkitd.",
		Example: `  fenceline run builder --nats nats://core:4222 --user builder --password-file /etc/fenceline/builder \
    --buildkit unix:///run/buildkit/buildkitd.sock`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		return wiring{callerOf(settings.RoleBuilder, s.Name), settings.UserBuilder, nil, func(m means) (role, error) {
			return makeBuilder(&s.Builder, s.Grace, m)
		}}, nil
	})
}

func newRunControllerCmd() *cobra.Command {
	var s settings.RunController
	cmd := &cobra.Command{
		Use: settings.RoleController, Short: "Own rollouts: waves, quorum, flip, soak, rollback",
		Long:    "Advances rollouts and drives the fence config. Of several, one acts at a time.",
		Example: `  fenceline run controller --nats nats://core:4222 --user controller --password-file /etc/fenceline/controller`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		l := layout(&s.Layout)
		places, err := backends.New(s.Fence)
		return wiring{callerOf(settings.RoleController, s.Name), settings.UserController, l, func(m means) (role, error) {
			return makeController(&s.Controller, places, *l, m)
		}}, err
	})
}

func newRunDistributorCmd() *cobra.Command {
	var s settings.RunDistributor
	cmd := &cobra.Command{
		Use: settings.RoleDistributor, Short: "Pull images on a node, prove that it holds them, run trials",
		Long: "Runs on every node, beside its Docker engine.",
		Example: `  fenceline run distributor --nats nats://core:4222 --user production.node-7 \
    --password-file /etc/fenceline/production.node-7 --fleet production --node node-7`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		if err := s.Pull.Check(); err != nil {
			return wiring{}, err
		}
		who := cli.Caller{Role: settings.RoleDistributor, Name: s.Node, Inbox: settings.NodeInbox(s.Fleet, s.Node)}
		return wiring{who, messages.NodeKey(s.Fleet, s.Node), nil, func(m means) (role, error) {
			return makeDistributor(&s.Distributor, s.URL+" "+m.queue.Space().Prefix(), m)
		}}, nil
	})
}

func newRunStatusesCmd() *cobra.Command {
	var s settings.RunStatuses
	cmd := &cobra.Command{
		Use: settings.RoleStatuses, Short: "Tell forges what became of commits, and sinks what happens",
		Long: `Writes commit statuses: queued, building, refused, held by so many nodes, live, rolled back.
Sends what happens to the sinks of the pipeline file: programs, as CloudEvents, and chats.
Of several, one acts at a time.`,
		Example: `  fenceline run statuses --nats nats://core:4222 --user statuses --password-file /etc/fenceline/statuses \
    --config /etc/fenceline/fenceline.yaml`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		file, targets, err := statusTargets(&s.PipelineFiles, cmd.Flags(), log)
		return wiring{callerOf(settings.RoleStatuses, s.Name), settings.UserStatuses, nil, func(m means) (role, error) {
			return makeStatuses(s.Name, file, targets, m)
		}}, err
	})
}

// consoleGC is how much a console's memory may grow, in percent, before what is unused of it is collected. It reads every
// heartbeat and keeps the last of each node: with 10,000 nodes half of Go's own measure saves a fifth of its memory.
const consoleGC = 50

func newRunConsoleCmd() *cobra.Command {
	var s settings.RunConsole
	cmd := &cobra.Command{
		Use: settings.RoleConsole, Short: "Serve the web page",
		Long: "Shows fleets, nodes, rollouts and what fails, live, and takes decisions of people who have signed in. Any number may run; a person's session is with one.",
		Example: `  fenceline run console --nats nats://core:4222 --user console --password-file /etc/fenceline/console \
    --console-tokens-file /etc/fenceline/console-tokens --listen 0.0.0.0:8448 --tls-cert-file /etc/fenceline/tls.crt --tls-key-file /etc/fenceline/tls.key`,
	}
	s.Add(cmd.Flags())
	return runRole(cmd, &s.Run, func(log zerolog.Logger) (wiring, error) {
		if err := s.Check(); err != nil {
			return wiring{}, err
		}
		provider, err := loadProvider(&s.OIDC, log)
		if err != nil {
			return wiring{}, err
		}
		entry, err := loadEntry(&s.Listener, log)
		if err != nil {
			return wiring{}, err
		}
		return wiring{callerOf(settings.RoleConsole, settings.HostLabel()), settings.UserConsole, &store.Layout{}, func(m means) (role, error) {
			if err := entry.listen(&s.Listener); err != nil {
				return nil, err
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(consoleGC)
			}
			log.Info().Str("listen", entry.url()).Msg("console")
			return makeConsole(&s.Console, provider, entry, true, s.Grace, m)
		}}, nil
	})
}

// callerOf is a role whose user has the role's name.
func callerOf(role, name string) cli.Caller {
	return cli.Caller{Role: role, Name: name, Inbox: settings.Inbox(role)}
}
