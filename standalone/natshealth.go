package standalone

import (
	"context"
	"errors"
	"time"
)

// healthInterval is between two looks at the server's health.
const healthInterval = 2 * time.Second

// keep looks after the server until ctx ends. After an error of the disk a stream refuses every write
// until it is opened anew, with space on the disk again or not, and the server only logs that: it is
// started again, as soon as there is room. Anything else that makes it useless is delivered as a failure.
func (n *NATS) keep(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for last := ""; ; {
		fatal := n.running().fatal
		select {
		case <-ctx.Done():
			return
		case err := <-fatal:
			fail(n.failed, err)
			return
		case <-tick.C:
		}
		// A stream that is being made shows as an error for a moment: its folder is there before
		// it is. So only an error that is seen twice counts.
		now := n.running().server.Healthz(nil).Error
		if now == "" || now != last {
			last = now
			continue
		}
		last = ""
		err := storeError(n.config.StoreDir, errors.New(now))
		if !errors.Is(err, ErrDiskFull) && n.room.forNATS() == nil {
			fail(n.failed, err)
			return
		}
		n.config.Logger.Error().Err(err).Msg("NATS can't store: it is started again once there is room")
		if !n.reopen(ctx, tick.C) {
			return
		}
		n.config.Logger.Info().Msg("NATS stores again")
	}
}

// reopen ends the server, and starts one over the same folder once there is room. It returns false where
// ctx ended before that.
func (n *NATS) reopen(ctx context.Context, tick <-chan time.Time) bool {
	n.running().end()
	n.room.giveUp(0)
	for {
		if n.room.forNATS() == nil {
			err := n.open(ctx)
			if err == nil {
				return true
			}
			n.config.Logger.Error().Err(err).Msg("NATS does not start again yet")
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick:
		}
	}
}
