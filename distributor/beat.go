package distributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// beatView is how heartbeats go.
type beatView struct {
	sent  uint64
	err   error // nil when the last one was stored
	other int   // how many in a row met a heartbeat of another distributor of this name
	alone int   // how many in a row met none after those
}

const (
	// twinBeats is how many heartbeats in a row have to meet another's until that is taken for a second
	// distributor. One alone may have met the last of a predecessor, or an operator's retirement.
	twinBeats = 2
	// aloneBeats is how many in a row have to meet none until the other is taken for gone.
	aloneBeats = 3
)

// meets counts a heartbeat that was stored. News tells that there is a twin now, or none any more.
func (b *beatView) meets(other bool) (news bool) {
	was := b.twin()
	if other {
		b.other, b.alone = b.other+1, 0
	} else if b.alone++; b.alone >= aloneBeats || b.other < twinBeats {
		b.other = 0
	}
	return b.twin() != was
}

// twin tells whether another distributor has this name.
func (b *beatView) twin() bool { return b.other >= twinBeats }

// errTwin is what is wrong with a node whose name another has too.
var errTwin = errors.New("another distributor sends heartbeats under this name: give each machine a node name and a user of its own; until then this node does not count")

// beatAgain is how many heartbeats follow in quick succession once NATS stores them again. A
// controller counts only those that come while it listens, and it may not listen yet.
const beatAgain = 3

// beatLoop sends a heartbeat on a timer, and at once when something changed. It ends with ctx, or
// with an error where no heartbeat has been allowed yet. Once one was, a refusal may pass: it goes on.
func (d *Distributor) beatLoop(ctx context.Context) error {
	allowed, again := false, 0
	for {
		wait := d.cfg.Interval
		err := d.beat(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end: what the beat says then is that
		}
		switch {
		case err == nil:
			allowed = true
		case errors.Is(err, queue.ErrForbidden) && !allowed:
			return fmt.Errorf("this is not the credential of node %s of fleet %s: %w", d.cfg.Node, d.cfg.Fleet, err)
		default:
			again = beatAgain + 1
		}
		if again > 0 {
			again--
			wait = min(wait, jitter(firstRetry))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-d.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// beat sends one heartbeat, and returns nil once it is stored. The deadline covers the look at the
// engine too: what a process saw before it was stopped for long must not be sent when it goes on, as
// it would count as seen now.
func (d *Distributor) beat(ctx context.Context) error {
	send, cancel := context.WithTimeout(ctx, d.lookTimeout()+queueTimeout)
	defer cancel()
	s := d.status(ctx)
	err := d.cfg.Queue.Heartbeat(send, s)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.tell(s, err)
	twin := errors.Is(err, store.ErrTwin) // it is stored all the same
	if twin {
		err = nil
	}
	d.mu.Lock()
	was := d.beats.err
	d.beats.err = err
	news := err == nil && d.beats.meets(twin)
	isTwin := d.beats.twin()
	d.mu.Unlock()
	if news {
		signal(d.changed) // so that the next one says so
	}
	switch {
	case news && isTwin:
		d.log.Error().Err(errTwin).Msg("two nodes have one name")
	case news:
		d.log.Info().Msg("no other distributor has this node's name any more")
	case err != nil && (was == nil || s.Beat == 1):
		d.log.Warn().Err(err).Msg("can't send heartbeats; trying again")
	case err == nil && was != nil:
		d.log.Info().Uint64("beat", s.Beat).Msg("heartbeats are stored")
	}
	return err
}
