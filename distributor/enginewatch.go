package distributor

import (
	"context"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// engineView is the engine as last seen.
type engineView struct {
	is    messages.Engine
	known bool // is was read after the engine failed last
	told  bool // the log says that the engine fails
}

// engineKey is the key of an engine's failures in retries.
const engineKey = "engine"

// followEngine watches the engine, so that what happens to it and its images is looked at at once.
func (d *Distributor) followEngine(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		err := d.cfg.Engine.Watch(ctx, func() {
			n = 1
			signal(d.wake)
			signal(d.changed)
		})
		if ctx.Err() != nil {
			return
		}
		if d.engineFailed(fmt.Errorf("watching it ended: %w", err)) {
			signal(d.changed)
		}
		signal(d.wake)
		if !queue.Pause(ctx, min(backoff(n), d.cfg.Interval)) {
			return
		}
	}
}

// engineAnswers notes that the engine has answered all that a heartbeat asks.
func (d *Distributor) engineAnswers(is messages.Engine) {
	d.mu.Lock()
	was := d.engine
	d.engine = engineView{is: is, known: true}
	d.again = d.again || !was.known
	d.mu.Unlock()
	if !was.known {
		d.log.Info().Str("engine", is.Name).Str("version", is.Version).Str("api", is.API).Msg("the engine answers")
		signal(d.wake)
	}
}

// engineFailed notes that the engine does not answer, and tells whether that is news.
func (d *Distributor) engineFailed(err error) bool {
	d.mu.Lock()
	news := !d.engine.told
	d.engine.known, d.engine.told = false, true
	d.mu.Unlock()
	if news {
		d.log.Warn().Err(err).Msg("the engine does not answer; trying again")
	}
	return news
}

// noEngine reports that the engine is gone, also as a failure of the preload where there is one, and
// returns how long to wait before it is asked again.
func (d *Distributor) noEngine(ctx context.Context, record *messages.FleetChanged, err error) time.Duration {
	if ctx.Err() != nil {
		return idle
	}
	if d.engineFailed(err) {
		signal(d.changed)
	}
	d.retries.failed(engineKey, "")
	if record != nil {
		d.startWork(&record.Record)
		if p := record.Record.Preload; d.admitted(p) {
			d.fail(wantPreload(p), engineKey+p.Rollout, "engine", err)
		}
	}
	return d.retries.wait(engineKey)
}
