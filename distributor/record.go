package distributor

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// followRecord takes what is announced.
func (d *Distributor) followRecord(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		err := d.cfg.Queue.WatchFleet(ctx, d.cfg.Fleet, d.takeAnnounced)
		if ctx.Err() != nil {
			return
		}
		d.log.Warn().Err(err).Msg("watching the fleet's record ended; watching it again")
		if !queue.Pause(ctx, backoff(n)) {
			return
		}
	}
}

// rereadMost bounds the wait before a record is read again that could not be read, as until then the node is
// not ready; and one that is older than the known one, which was announced, too.
const rereadMost = 5 * time.Second

// rereadRecord reads the record at the start and on a jittered timer, as announcements can be missed; and at
// once where an older one than the known one was announced.
func (d *Distributor) rereadRecord(ctx context.Context) {
	told, hinted := "", false
	for n := 1; ; {
		wait, older := jitter(3*d.cfg.Interval), d.olderTold
		c, err := d.readRecord(ctx)
		d.noteUnread(err)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, queue.ErrNotFound):
			if told != "none" {
				told = "none"
				d.log.Info().Msg("the fleet has no record yet: nothing to do before its first rollout")
			}
		case err != nil:
			wait = min(wait, backoff(n), jitter(rereadMost))
			n++
			if told != "error" {
				told = "error"
				d.log.Warn().Err(err).Msg("can't read the fleet's record; going on with what is known")
			}
		default:
			if told != "" {
				told = ""
				d.log.Info().Uint64("revision", c.Revision).Msg("read the fleet's record")
			}
			n = 1
			d.takeRead(c)
			if hinted = hinted && d.mayHaveStartedOver(); hinted {
				wait, older = min(wait, jitter(rereadMost)), nil // a replica that is behind has time to catch up
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-older:
			hinted = true
			d.forgetOlder()
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// forgetOlder has a lower revision read twice from here on until it is believed: what is read at once may come from the
// same replica, which is still behind.
func (d *Distributor) forgetOlder() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.older = 0
}

// mayHaveStartedOver tells whether a lower revision than the known one's was read, and is to be read again.
func (d *Distributor) mayHaveStartedOver() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.older > 0
}

// noteUnread notes why the record could not be read.
func (d *Distributor) noteUnread(err error) {
	if errors.Is(err, queue.ErrNotFound) {
		err = nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unread = err
}

// readRecord reads the fleet's record, within queueTimeout.
func (d *Distributor) readRecord(ctx context.Context) (messages.FleetChanged, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	return d.cfg.Queue.ReadFleet(ctx, d.cfg.Fleet)
}

// takeAnnounced takes a record that was announced, where its revision is higher than the known one's. Another
// one came late, or the bucket was made anew: it is read.
func (d *Distributor) takeAnnounced(c messages.FleetChanged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.Record.Fleet != d.cfg.Fleet:
	case d.record == nil || c.Revision > d.record.Revision:
		d.adopt(c)
	case !c.Same(d.record):
		signal(d.olderTold)
	}
}

// takeRead takes a record that was read. A lower revision than the known one's can be the answer of a
// replica that is behind. Read a second time in a row, it is believed: the bucket was made anew. So is another
// record of the same revision, at once.
func (d *Distributor) takeRead(c messages.FleetChanged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record == nil || c.Revision > d.record.Revision || c.Revision == d.record.Revision && !c.Same(d.record) {
		d.adopt(c)
		return
	}
	if c.Revision == d.record.Revision {
		d.older = 0
		return
	}
	if d.older == 0 {
		d.older = c.Revision
		return
	}
	d.log.Warn().Uint64("was", d.record.Revision).Uint64("is", c.Revision).Msg("the fleet's record has started over")
	d.adopt(c)
}

// adopt makes c the record to act on. A pull or trial that it no longer wants is given up.
// The caller holds mu.
func (d *Distributor) adopt(c messages.FleetChanged) {
	d.checkInterval(c.Record.NodeTTL.Std())
	d.follow(&c.Record)
	if d.record == nil || !d.record.Record.Turns.Admits(d.cfg.Node) {
		d.again = d.again || c.Record.Turns.Admits(d.cfg.Node)
	}
	concerns := d.record == nil || !reflect.DeepEqual(d.viewOf(&d.record.Record), d.viewOf(&c.Record))
	d.record, d.older = &c, 0
	if !concerns { // other nodes were admitted: this one neither acts nor reports
		return
	}
	if d.job != nil && !d.job.wanted(&c.Record) {
		d.job.cancel(errNotWanted)
	}
	signal(d.wake)
	signal(d.toApply)
	signal(d.changed)
}

// viewOf is what a record says to this node: of whom it admits, whether it is this one. A fleet's
// record changes with each node that is admitted, which must not set all others to work.
func (d *Distributor) viewOf(r *messages.FleetRecord) messages.FleetRecord {
	v := messages.FleetRecord{ID: r.ID, Reference: r.Reference, Epoch: r.Epoch, Current: r.Current, Previous: r.Previous, Keep: r.Keep, PreloadFrom: r.PreloadFrom, Pull: r.Pull}
	if !r.Turns.Admits(d.cfg.Node) {
		v.Turns = &messages.Turns{}
	}
	if !r.Spread.Admits(d.cfg.Node) {
		v.Spread = &messages.Spread{}
	}
	for _, i := range r.Wanted() {
		if mirror := d.mirror(r); r.HeldBack(d.cfg.Node, mirror, i) {
			v.Firsts = append(v.Firsts, messages.First{Mirror: mirror, Image: i})
		}
	}
	if d.admitted(r.Preload) {
		p := *r.Preload
		p.Threshold, p.Canaries, p.Traced = 0, nil, 0
		if d.canary(r.Preload) {
			p.Canaries = []string{d.cfg.Node}
		}
		v.Preload = &p
	} else if r.Preload != nil {
		v.Preload = &messages.Preload{FleetImage: messages.FleetImage{Image: r.Preload.Image}} // wanted, and not yet to be fetched
	}
	if b := r.Bases; b != nil {
		v.Bases = &messages.BasePreload{Images: b.Images}
		if within(b.Build, d.cfg.Node, b.Threshold) {
			v.Bases.Build = b.Build
		}
	}
	return v
}

// known is the record to act on, or nil.
func (d *Distributor) known() *messages.FleetChanged {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record
}
