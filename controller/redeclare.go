package controller

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// redeclare makes the bucket of heartbeats anew when it is gone: it is kept in memory, so a
// server that restarts alone loses it. It makes the builders' consumers, too, which may make none.
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
		if err == nil || errors.Is(err, queue.ErrNotFound) {
			err = c.Layout.KeepConsumers(ctx, c.Queue)
		}
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
