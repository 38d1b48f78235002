package sinks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Target is where events go, and what is known of the installation that they tell of.
type Target struct {
	Sinks []form.Sink // filled, each of its own name
	Site  form.Site
}

// Config configures a Worker.
type Config struct {
	Queue   *queue.Client
	Name    string // different from all other workers'
	Target  Target
	Metrics *metrics.Sinks // nil for none
	Logger  zerolog.Logger
	// LeaseTTL is how long another worker waits for a silent one; 0 means DefaultLeaseTTL. Pause is the first pause after a
	// sink took no event, which grows; 0 means a second. Look is how often streams are looked at; 0 means a second.
	LeaseTTL, Pause, Look time.Duration
	// Answer bounds one try; 0 means 15 seconds.
	Answer time.Duration
	// Refresh is how old the record of a sink grows that nothing changes, as its bucket forgets what is older than 30 days. Keep
	// is how long a sink is kept that the pipeline file doesn't name. 0 means a day.
	Refresh, Keep time.Duration
}

const (
	// DefaultLeaseTTL is how long another worker waits for a silent one.
	DefaultLeaseTTL = 15 * time.Second
	// answerTime bounds one try.
	answerTime = 15 * time.Second
	day        = 24 * time.Hour
	// rightsPause is between looks whether the NATS user may do what it takes.
	rightsPause = time.Minute
)

// Worker sends events to sinks.
type Worker struct {
	Config
	turns queue.Turns[Target]
}

// New makes a worker. It reads no file yet.
func New(c Config) (*Worker, error) {
	if c.Queue == nil || c.Name == "" {
		return nil, errors.New("a worker of sinks needs a queue and a name")
	}
	for _, d := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&c.LeaseTTL, DefaultLeaseTTL}, {&c.Pause, time.Second}, {&c.Look, time.Second}, {&c.Answer, answerTime}, {&c.Refresh, day}, {&c.Keep, day}} {
		if *d.of == 0 {
			*d.of = d.otherwise
		}
	}
	return &Worker{Config: c}, nil
}

// Retarget has events go to other sinks from here on, while the worker runs.
func (w *Worker) Retarget(t Target) { w.turns.Next(t) }

// Run sends events until ctx ends. A NATS user that may not do it is no reason to end: other work of the process goes on, the log
// says so, and it is tried again.
func (w *Worker) Run(ctx context.Context) {
	for {
		err := w.Queue.Lease(ctx, w.Queue.Space().StatusesBucket(), "sinks", w.Name, w.LeaseTTL, w.act)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, queue.ErrForbidden) {
			err = fmt.Errorf("%w: the user of this role needs the rights that 'fenceline init' gives the user statuses", err)
		}
		w.Logger.Error().Err(err).Msg("nothing is sent to sinks; it is tried again")
		if !queue.Pause(ctx, rightsPause) {
			return
		}
	}
}

// act sends events while this worker is the one that does.
func (w *Worker) act(ctx context.Context) error {
	return w.turns.Run(ctx, func(t Target) error { w.Target = t; return nil }, w.sendAll)
}

// sendAll follows each sink until ctx ends.
func (w *Worker) sendAll(ctx context.Context) error {
	defer w.Metrics.Forget()
	g, ctx := errgroup.WithContext(ctx)
	t := newTail(w)
	g.Go(func() error { return t.run(ctx) })
	g.Go(func() error { return w.forgetOthers(ctx, t) })
	for _, s := range w.Target.Sinks {
		g.Go(func() error { return w.newSink(s, t).run(ctx) })
	}
	return g.Wait()
}
