package statuses

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/statuses/target"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Config configures a Worker.
type Config struct {
	Queue   *queue.Client
	Name    string            // different from all other workers'
	Targets []target.Target   // filled; at most one for a pipeline
	Metrics *metrics.Statuses // nil for none
	Logger  zerolog.Logger
	// LeaseTTL is how long another worker waits for a silent one; 0 means DefaultLeaseTTL.
	LeaseTTL time.Duration
	// Pause is the first pause after a forge was not reached, which grows; 0 means a second. Pace is the least time
	// between two statuses of a commit whose counts move; 0 means 15 seconds.
	Pause, Pace time.Duration
}

// DefaultLeaseTTL outlasts a call of a forge, which ends with the lease.
const DefaultLeaseTTL = 15 * time.Second

// Worker tells forges what became of commits.
type Worker struct {
	Config
	forges map[string]*forge // by kind and address
	routes map[string]*route // by pipeline
	unread sync.Once         // says that requests may not be read
	turns  queue.Turns[[]target.Target]
}

// route is where the statuses of one pipeline go.
type route struct {
	target.Target
	forge *forge

	// What only the forge's loop knows.
	blocked   time.Time // until when nothing is told, for what is wrong with the token
	refused   string    // a hash of the token that the forge refused last
	attempts  int       // in a row that were
	problem   string    // what is known to stand in the way; "" where nothing does
	announced bool      // whether the record of it is as problem says
}

// New makes a worker. It reads no token yet.
func New(c Config) (*Worker, error) {
	if c.Queue == nil || c.Name == "" {
		return nil, errors.New("a worker of statuses needs a queue and a name")
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = DefaultLeaseTTL
	}
	if c.Pause == 0 {
		c.Pause = time.Second
	}
	if c.Pace == 0 {
		c.Pace = 15 * time.Second
	}
	w := &Worker{Config: c}
	if err := w.use(c.Targets); err != nil {
		return nil, err
	}
	return w, nil
}

// use has statuses go to these targets.
func (w *Worker) use(targets []target.Target) error {
	forges, routes := map[string]*forge{}, map[string]*route{}
	for _, t := range targets {
		if routes[t.Pipeline] != nil {
			return fmt.Errorf("pipeline %s has two targets", t.Pipeline)
		}
		key := string(t.Forge) + " " + t.API()
		if forges[key] == nil {
			forges[key] = newForge(w, t)
		}
		routes[t.Pipeline] = &route{Target: t, forge: forges[key]}
	}
	w.Targets, w.forges, w.routes = targets, forges, routes
	return nil
}

// Retarget has statuses go to other targets from here on, while the worker runs. What is under way is told again.
func (w *Worker) Retarget(targets []target.Target) { w.turns.Next(slices.Clone(targets)) }

// Run tells forges until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	err := w.Queue.Lease(ctx, w.Queue.Space().StatusesBucket(), "statuses", w.Name, w.LeaseTTL, w.act)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	if errors.Is(err, queue.ErrForbidden) {
		err = fmt.Errorf("%w: the user of this role needs the rights that 'fenceline init' gives the user statuses", err)
	}
	return err
}

// act takes hints and tells forges while this worker is the one that does.
func (w *Worker) act(ctx context.Context) error { return w.turns.Run(ctx, w.use, w.tellAll) }

// tellAll takes hints and tells forges by the targets as they are.
func (w *Worker) tellAll(ctx context.Context) error {
	if len(w.routes) == 0 {
		w.Logger.Info().Msg("no pipeline has a status section: there is nobody to tell")
	}
	if err := ForgetProblems(ctx, w.Queue, w.Targets); err != nil && ctx.Err() == nil {
		w.Logger.Warn().Err(err).Msg("status shows what is over")
	}
	if err := w.recall(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range w.forges {
		g.Go(func() error { return f.run(ctx) })
	}
	for _, from := range store.StatusConsumers(w.Queue.Space()) {
		g.Go(func() error {
			return w.Queue.Consume(ctx, from, nil, func(d *queue.Delivery) { w.settle(ctx, d) })
		})
	}
	return g.Wait()
}

// Ready tells whether the worker can take hints. A forge that is away is no reason to take it out of service.
func (w *Worker) Ready(ctx context.Context) error {
	if err := w.Queue.Ready(ctx); err != nil {
		return err
	}
	if _, err := store.ForgeStatuses(w.Queue).Info(ctx); err != nil {
		return fmt.Errorf("what forges were told can't be kept: %w: let a controller declare it, with the rights that 'fenceline init' gives", err)
	}
	return nil
}
