package distributor

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
)

// wayOf is in which way a pull fetches.
func wayOf(from *source) string {
	if from == nil {
		return string(messages.PullEngine)
	}
	return string(from.way.Way)
}

// pullOutcome is what became of a pull whose context was ctx before it gave it an end of its own.
func pullOutcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return metrics.PullDone
	case ctx.Err() != nil:
		return metrics.PullGivenUp
	}
	return metrics.PullFailed
}

// tell takes in a heartbeat and whether it was stored.
func (d *Distributor) tell(s *messages.NodeStatus, err error) {
	if d.cfg.Metrics == nil {
		return
	}
	d.cfg.Metrics.Beat(err == nil || errors.Is(err, store.ErrTwin))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen, d.seenAt = s, time.Now()
}

// seenBeats is for how many intervals metrics tell of what a heartbeat saw.
const seenBeats = 3

// nodeNow is what the last heartbeat saw; false where that is too long ago.
func (d *Distributor) nodeNow() (metrics.NodeNow, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.seen
	if s == nil || time.Since(d.seenAt) > seenBeats*d.cfg.Interval {
		return metrics.NodeNow{}, false
	}
	n := metrics.NodeNow{EngineUp: s.Engine.Error == "", FreeBytes: s.FreeBytes, Wanted: -1, Present: -1}
	if d.record != nil && s.Revision > 0 {
		n.Wanted = len(d.record.Record.Wanted())
		if n.EngineUp {
			n.Present = len(s.Images)
		}
	}
	return n, true
}
