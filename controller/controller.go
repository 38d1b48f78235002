package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

const (
	// DefaultInterval is how often fence config and record are compared.
	DefaultInterval = 2 * time.Second
	// DefaultLeaseTTL is how long the acting controller may be silent before another takes its place.
	DefaultLeaseTTL = 5 * time.Second
	// leaseName is shared by all controllers of an installation.
	leaseName = "controller"
	// redeclareFirst is the pause between a reconnect and the first look whether buckets are there.
	redeclareFirst = 100 * time.Millisecond
	// dropEvery is how often the records of old rollouts are dropped.
	dropEvery = time.Hour
	// writesInARow bounds how many decisions about a fleet are written before its fence config has its turn.
	writesInARow = 1000
)

// Config is what a controller needs.
type Config struct {
	Queue    *queue.Client
	Backend  fence.Factory       // of the fence configs of fleets
	Name     string              // of this controller, for people
	Interval time.Duration       // 0 means DefaultInterval
	LeaseTTL time.Duration       // 0 means DefaultLeaseTTL
	Layout   store.Layout        // with which a bucket that was lost is declared again
	Metrics  *metrics.Controller // nil for none
	Tracer   *tracing.Tracer     // nil: nothing is traced
	Logger   zerolog.Logger
}

// Controller opens rollouts, and advances them while it is the acting one.
type Controller struct {
	Config
	views *views

	mu     sync.Mutex
	owners map[string]string        // by kind of place that is one fleet's alone
	asks   map[string]chan question // by fleet, while this is the acting controller
}

// New returns a controller. Streams and buckets must be declared before it runs.
func New(c Config) (*Controller, error) {
	switch {
	case c.Queue == nil:
		return nil, errors.New("a controller needs a queue")
	case c.Backend == nil:
		return nil, errors.New("a controller needs a fence config backend")
	case c.Name == "":
		return nil, errors.New("a controller needs a name")
	case c.Interval < 0 || c.LeaseTTL < 0:
		return nil, fmt.Errorf("interval %s and lease %s must not be negative", c.Interval, c.LeaseTTL)
	}
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = DefaultLeaseTTL
	}
	v := newViews(c.Queue)
	v.kind = func(fleet, fence string) string {
		place, _ := c.Backend(fleet, fence) // one that can't be opened has a kind, too
		return place.Kind
	}
	v.metrics = c.Metrics
	c.Metrics.Fleets(v.fleetsNow)
	return &Controller{Config: c, views: v, owners: map[string]string{}}, nil
}

// Run works until ctx ends, then returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	all, running := errgroup.WithContext(ctx)
	all.Go(func() error { return c.views.run(running) })
	all.Go(func() error { return c.consume(running) })
	all.Go(func() error { return c.redeclare(running) })
	all.Go(func() error {
		select {
		case <-c.views.ready:
		case <-running.Done():
			return context.Cause(running)
		}
		return c.Queue.Lease(running, c.Queue.Space().FleetsBucket(), leaseName, c.Name, c.LeaseTTL, c.act)
	})
	err := all.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end: what its loops say then is that
	}
	return fmt.Errorf("controller %s: %w", c.Name, err)
}

// Ready tells whether this controller could act: NATS answers and the records have been read.
func (c *Controller) Ready(ctx context.Context) error {
	if err := c.Queue.Ready(ctx); err != nil {
		return err
	}
	select {
	case <-c.views.ready:
		return nil
	default:
		return errors.New("the controller has not read all records yet")
	}
}
