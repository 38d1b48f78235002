package standalone

import (
	"context"
	"errors"
	"time"
)

// healthInterval is between two looks at the server's health. A stream or consumer that is being made or
// removed shows as an error meanwhile, as its folder is there without it: a second look tells that from a
// disk that was full, which stays so, and who fails for another error has seen it healthLooks times in a row,
// as a slow disk takes its time.
const (
	healthInterval = 2 * time.Second
	healthLooks    = 10
)

// keep looks after the server until ctx ends. After an error of the disk a stream refuses every write
// until it is opened anew, with space on the disk again or not, and the server only logs that: it is
// started again, as soon as there is room. Anything else that makes it useless is delivered as a failure.
func (n *NATS) keep(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	seen := 0
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
		now := n.running().server.Healthz(nil).Error
		if now == "" || now != last {
			last, seen = now, 1
			continue
		}
		seen++
		err := storeError(n.config.StoreDir, errors.New(now))
		if !errors.Is(err, ErrDiskFull) && n.room.forNATS() == nil {
			if seen < healthLooks {
				continue
			}
			fail(n.failed, err)
			return
		}
		last = ""
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
