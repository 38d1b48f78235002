package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

const (
	// DefaultInterval is how often fence config and record are compared.
	DefaultInterval = 2 * time.Second
	// DefaultLeaseTTL is how long the other controllers wait for a silent acting one.
	DefaultLeaseTTL = 5 * time.Second
	// leaseName is shared by all controllers of an installation.
	leaseName = "controller"
	// redeclareFirst is the pause before streams are looked for again after a reconnect.
	redeclareFirst = 100 * time.Millisecond
	// dropEvery is how often the records of old rollouts are dropped.
	dropEvery = time.Hour
	// writesInARow bounds what is decided about a fleet before the rest of the loop has its turn.
	writesInARow = 1000
)

// Config is what a controller needs.
type Config struct {
	Queue    *queue.Client
	Backend  fence.Factory // of the fence configs of fleets
	Name     string        // of this controller, for people
	Interval time.Duration // 0 means DefaultInterval
	LeaseTTL time.Duration // 0 means DefaultLeaseTTL
	Layout   store.Layout  // with which a bucket that was lost is declared again
	Logger   zerolog.Logger
}

// Controller opens rollouts, and advances them while it is the acting one.
type Controller struct {
	Config
	views *views
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
	return &Controller{Config: c, views: newViews(c.Queue)}, nil
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
		return c.Queue.Lease(running, leaseName, c.Name, c.LeaseTTL, c.act)
	})
	err := all.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end: what its loops say then is that
	}
	return fmt.Errorf("controller %s: %w", c.Name, err)
}

// redeclare makes the bucket of heartbeats anew when it is gone: it is kept in memory, so a
// server that restarts alone loses it.
func (c *Controller) redeclare(ctx context.Context) error {
	for wait := c.Interval; ; {
		again := c.Queue.Reconnected()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			wait = min(2*wait, c.Interval)
		case <-again: // all of it may be gone, or not be there yet
			wait = min(redeclareFirst, c.Interval)
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
		_, err := store.Nodes(c.Queue).Get(ctx, messages.NodeKey("none", "none"))
		if !errors.Is(err, queue.ErrUndeclared) {
			continue
		}
		if err := store.Declare(ctx, c.Queue, c.Layout); err != nil {
			c.Logger.Warn().Err(err).Msg("can't declare the streams again")
		} else {
			c.Logger.Info().Msg("streams declared again")
		}
	}
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

// act advances every fleet while the lease is held.
func (c *Controller) act(ctx context.Context) error {
	c.Logger.Info().Str("controller", c.Name).Msg("acting")
	changed, done := c.views.subscribe("")
	defer done()
	fleets, ctx := errgroup.WithContext(ctx)
	fleets.Go(func() error { c.dropFromTimeToTime(ctx); return nil })
	started := map[string]bool{}
	for {
		for _, name := range c.views.names() {
			if !started[name] {
				started[name] = true
				fleets.Go(func() error { c.actOn(ctx, name); return nil })
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			_ = fleets.Wait() // they only end with ctx
			return context.Cause(ctx)
		}
	}
}

// dropFromTimeToTime drops the records of old rollouts until ctx ends.
func (c *Controller) dropFromTimeToTime(ctx context.Context) {
	every := time.NewTicker(dropEvery)
	defer every.Stop()
	for {
		if err := c.dropRollouts(ctx); err != nil && ctx.Err() == nil {
			c.Logger.Warn().Err(err).Dur("again_in", dropEvery).Msg("can't drop old rollouts")
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// dropRollouts drops the records of old rollouts. Watches don't tell of records that leave no trace.
func (c *Controller) dropRollouts(ctx context.Context) error {
	dropped, err := dropOld(ctx, c.Queue)
	for _, id := range dropped {
		c.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: id, Deleted: true})
	}
	if len(dropped) > 0 {
		c.Logger.Info().Int("rollouts", len(dropped)).Msg("old rollouts dropped")
	}
	return err
}

// actOn advances one fleet until ctx ends.
func (c *Controller) actOn(ctx context.Context, fleet string) {
	f := &fleetActor{
		Controller: c, fleet: fleet, backend: c.Backend(fleet), clocks: &clocks{},
		log: c.Logger.With().Str("fleet", fleet).Logger(),
	}
	changed, done := c.views.subscribe(fleet)
	defer done()
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for due := true; ; {
		if err := f.pass(ctx, due); err != nil && ctx.Err() == nil {
			f.log.Warn().Err(err).Msg("can't advance the fleet, will try again")
		}
		select {
		case <-changed:
			due = false
		case <-tick.C:
			due = true
		case <-ctx.Done():
			return
		}
	}
}

// fleetActor advances one fleet.
type fleetActor struct {
	*Controller
	fleet   string
	backend fence.Backend
	clocks  *clocks
	failed  uint64 // the epoch that the fence config could not be driven to, as last tried
	log     zerolog.Logger
}

// pass does all that is to be done now. Due tells that it is time to compare the fence
// config, and to write what only people look at. What fails keeps nothing else from being
// done: a rollback has to reach the fence config whatever else is wrong.
func (f *fleetActor) pass(ctx context.Context, due bool) error {
	failed := errors.Join(f.enrol(ctx), f.advance(ctx, due))
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	behind := s.record.Applied.Epoch != s.record.Epoch && f.failed != s.record.Epoch
	if revision == 0 || !due && !behind {
		return failed
	}
	if err := f.drive(ctx); err != nil {
		f.failed = s.record.Epoch // the timer tries again; a newer decision is driven at once
		return errors.Join(failed, err)
	}
	return errors.Join(failed, f.advance(ctx, due))
}

// enrol makes the nodes that beat for the first time members, and the fleet a record. It
// takes no longer than the lease: what is left over is for the next pass.
func (f *fleetActor) enrol(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, f.LeaseTTL)
	defer cancel()
	var failed error
	for _, name := range f.views.strangers(f.fleet) {
		if bounded.Err() != nil {
			break
		}
		if err := f.admit(bounded, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("making node %s a member: %w", name, err))
		}
	}
	return errors.Join(failed, f.found(ctx))
}

// admit makes a node a member.
func (f *fleetActor) admit(ctx context.Context, name string) error {
	key := messages.NodeKey(f.fleet, name)
	// Its heartbeat may have been ended by a retirement in between.
	if _, err := store.Nodes(f.Queue).Get(ctx, key); errors.Is(err, queue.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	m := messages.Member{Fleet: f.fleet, Node: name, Joined: time.Now().UTC()}
	if _, err := store.Members(f.Queue).Create(ctx, key, m); err != nil && !errors.Is(err, queue.ErrExists) {
		return err
	}
	f.views.seeMember(queue.Entry[messages.Member]{Key: key, Value: m})
	f.log.Info().Str("node", name).Msg("new member")
	return nil
}

// found gives the fleet a record where it has none.
func (f *fleetActor) found(ctx context.Context) error {
	if _, revision, _ := f.views.snapshot(f.fleet, f.clocks); revision > 0 {
		return nil
	}
	r := messages.FleetRecord{Fleet: f.fleet, ID: messages.NewID(), Decision: messages.NewID()}
	revision, err := store.Fleets(f.Queue).Create(ctx, f.fleet, r)
	if errors.Is(err, queue.ErrExists) {
		return f.reread(ctx)
	}
	if err == nil {
		f.took(ctx, r, revision)
	}
	return err
}

// advance takes steps until none is left.
func (f *fleetActor) advance(ctx context.Context, due bool) error {
	for range writesInARow {
		s, revision, revisions := f.views.snapshot(f.fleet, f.clocks)
		if revision == 0 {
			return nil
		}
		s.report = due
		out := next(&s)
		if out.fleet == nil && out.rollout == nil {
			return nil
		}
		err := f.write(ctx, out, revision, revisions)
		if errors.Is(err, queue.ErrMoved) {
			err = f.reread(ctx)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("too many decisions in a row")
}

// write does one step.
func (f *fleetActor) write(ctx context.Context, out step, revision uint64, revisions map[string]uint64) error {
	if out.rests != "" {
		if err := f.unmoved(ctx, out.rests, revisions[out.rests]); err != nil {
			return err
		}
	}
	if out.again {
		e, err := store.Fleets(f.Queue).Current(ctx, f.fleet)
		if err == nil && e.Revision != revision {
			f.views.seeFleet(e)
			err = queue.ErrMoved
		}
		if err != nil {
			return fmt.Errorf("reading the record of fleet %s before rollout %s is flipped again: %w", f.fleet, out.rollout.ID, err)
		}
	}
	if out.fleet != nil {
		written, err := store.Fleets(f.Queue).Update(ctx, f.fleet, *out.fleet, revision)
		if err != nil {
			return err
		}
		f.took(ctx, *out.fleet, written)
	}
	if r := out.rollout; r != nil {
		written, err := store.Rollouts(f.Queue).Update(ctx, r.ID, *r, revisions[r.ID])
		if errors.Is(err, queue.ErrMoved) {
			return errors.Join(err, f.unmoved(ctx, r.ID, revisions[r.ID])) // which sees what it is now
		}
		if err != nil {
			return err
		}
		f.views.seeRollout(queue.Entry[messages.RolloutRecord]{Key: r.ID, Value: *r, Revision: written})
	}
	if out.event != nil {
		f.tell(ctx, out.event)
	}
	return nil
}

// unmoved reads a rollout's record from where it is not stale. ErrMoved where it is another
// than the one at the revision. A person who changes it writes the fleet's record afterwards,
// so that a change which comes after this look meets the write that follows.
func (f *fleetActor) unmoved(ctx context.Context, id string, revision uint64) error {
	e, err := store.Rollouts(f.Queue).Current(ctx, id)
	if err != nil {
		return fmt.Errorf("reading rollout %s before a decision about it: %w", id, err)
	}
	if e.Revision == revision {
		return nil
	}
	f.views.seeRollout(e)
	return fmt.Errorf("rollout %s: %w", id, queue.ErrMoved)
}

// took notes a fleet record that was written, and tells the nodes.
func (f *fleetActor) took(ctx context.Context, r messages.FleetRecord, revision uint64) {
	f.views.seeFleet(queue.Entry[messages.FleetRecord]{Key: f.fleet, Value: r, Revision: revision})
	if err := store.AnnounceFleet(f.Queue, messages.FleetChanged{Revision: revision, Record: r}); err != nil {
		f.log.Debug().Err(err).Msg("nodes will read the record by themselves")
	}
}

// tell publishes an event. The records say the same: a lost event loses nothing else.
func (f *fleetActor) tell(ctx context.Context, e *messages.RolloutChanged) {
	f.log.Info().Str("rollout", e.Rollout).Str("state", string(e.State)).Str("why", e.Why).Uint64("epoch", e.Epoch).Msg("rollout changed")
	if err := f.Queue.Publish(ctx, "", e); err != nil {
		f.log.Warn().Err(err).Str("rollout", e.Rollout).Msg("event not published")
	}
}

// reread reads the fleet's records anew, as somebody else has changed one.
func (f *fleetActor) reread(ctx context.Context) error {
	e, err := store.Fleets(f.Queue).Get(ctx, f.fleet)
	if err != nil {
		return err
	}
	f.views.seeFleet(e)
	_, _, revisions := f.views.snapshot(f.fleet, f.clocks)
	for id := range revisions {
		if r := f.views.rollout(id); r.State.Final() {
			continue
		}
		e, err := store.Rollouts(f.Queue).Get(ctx, id)
		if err != nil {
			return err
		}
		f.views.seeRollout(e)
	}
	return nil
}
