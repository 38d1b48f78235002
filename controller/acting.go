package controller

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
)

// act advances every fleet while the lease is held: it starts an actor for each when it is seen first.
func (c *Controller) act(ctx context.Context) error {
	c.Logger.Info().Str("controller", c.Name).Msg("acting")
	ended := c.Metrics.Acts()
	defer func() { ended(errors.Is(context.Cause(ctx), queue.ErrLeaseLost)) }()
	changed, done := c.views.subscribe("")
	defer done()
	fleets, ctx := errgroup.WithContext(ctx)
	fleets.Go(func() error { c.dropFromTimeToTime(ctx); return nil })
	defer c.stopAnswering()
	started := map[string]bool{}
	start := func() {
		for _, name := range c.views.fleetNames() {
			if !started[name] {
				started[name] = true
				c.Metrics.Fleet(name)
				asks := c.answering(name)
				fleets.Go(func() error { c.actOn(ctx, name, asks); return nil })
			}
		}
	}
	start() // before questions are heard: of a fleet without an actor they are told that there is none
	stopHearing := c.hearQuestions(ctx)
	defer stopHearing() // after the actors have ended: whoever asks meanwhile is told
	for {
		select {
		case <-changed:
			start()
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

// dropRollouts drops the records of old rollouts, and takes them out of the views: a record that is
// dropped without a trace is nothing that a watch tells of.
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

// actOn advances one fleet until ctx ends: at once when something about it changed, and by a timer.
func (c *Controller) actOn(ctx context.Context, fleet string, asks chan question) {
	f := &fleetActor{
		Controller: c, fleet: fleet, clocks: &decide.Clocks{}, asks: asks,
		began: time.Now(), log: c.Logger.With().Str("fleet", fleet).Logger(),
	}
	changed, done := c.views.subscribe(fleet)
	defer done()
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	settled := time.NewTimer(0)
	defer settled.Stop()
	for due := true; ; {
		if err := f.pass(ctx, due); err != nil && ctx.Err() == nil {
			f.log.Warn().Err(err).Msg("can't advance the fleet, will try again")
		}
		settled.Stop()
		if in := f.clocks.SettlesIn(time.Now()); in > 0 {
			settled.Reset(in)
		}
		select {
		case <-changed:
			due = false
		case <-settled.C:
			due = false
		case q := <-f.asks:
			f.answer(ctx, q)
			due = false
		case <-tick.C:
			due = true
		case <-ctx.Done():
			return
		}
	}
}
