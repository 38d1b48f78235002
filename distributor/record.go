package distributor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// followRecord takes what is announced.
func (d *Distributor) followRecord(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		err := d.cfg.Queue.WatchFleet(ctx, d.cfg.Fleet, d.heard)
		if ctx.Err() != nil {
			return
		}
		d.log.Warn().Err(err).Msg("watching the fleet's record ended; watching it again")
		if !queue.Pause(ctx, backoff(n)) {
			return
		}
	}
}

// rereadMost bounds the wait before a record that could not be read is read again: until then the
// node is not ready.
const rereadMost = 5 * time.Second

// rereadRecord reads the record at the start and on a jittered timer, as announcements can be missed.
func (d *Distributor) rereadRecord(ctx context.Context) {
	told := ""
	for n := 1; ; {
		wait := jitter(3 * d.cfg.Interval)
		c, err := d.readRecord(ctx)
		d.notRead(err)
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
			d.read(c)
		}
		if !queue.Pause(ctx, wait) {
			return
		}
	}
}

// notRead notes why the record could not be read.
func (d *Distributor) notRead(err error) {
	if errors.Is(err, queue.ErrNotFound) {
		err = nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unread = err
}

func (d *Distributor) readRecord(ctx context.Context) (messages.FleetChanged, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	return d.cfg.Queue.ReadFleet(ctx, d.cfg.Fleet)
}

// heard takes a record that was announced: only a higher revision is news.
func (d *Distributor) heard(c messages.FleetChanged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Record.Fleet == d.cfg.Fleet && (d.record == nil || c.Revision > d.record.Revision) {
		d.adopt(c)
	}
}

// read takes a record that was read. A lower revision can be a stale replica's answer; read
// again, it is the truth: the bucket was made anew.
func (d *Distributor) read(c messages.FleetChanged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record == nil || c.Revision > d.record.Revision {
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
	d.record, d.older = &c, 0
	if d.job != nil && !d.job.wanted(&c.Record) {
		d.job.cancel(errNotWanted)
	}
	signal(d.wake)
	signal(d.changed)
}

// known is the record to act on, or nil.
func (d *Distributor) known() *messages.FleetChanged {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record
}

// want is an image that this node should have, and why.
type want struct {
	messages.FleetImage
	preload bool // it is what the current rollout brings
	base    bool // it may help later; best effort
}

// wants lists what this node should have, the most urgent first: what apps are started
// from, what the fleet waits for, what a rollback needs, what a build may need.
func (d *Distributor) wants(r *messages.FleetRecord) []want {
	var out []want
	add := func(w want) {
		at := slices.IndexFunc(out, func(o want) bool { return o.Image == w.Image })
		switch {
		case w.IsZero():
		case at >= 0 && w.preload: // another rollout of the same image: what is reported is about it
			out[at] = w
		case at >= 0:
		default:
			out = append(out, w)
		}
	}
	add(want{FleetImage: r.Current})
	if d.admitted(r.Preload) {
		add(want{FleetImage: r.Preload.FleetImage, preload: true})
	}
	add(want{FleetImage: r.Previous})
	for _, k := range r.Keep {
		add(want{FleetImage: k})
	}
	if b := r.Bases; b != nil && within(b.Build, d.cfg.Node, b.Threshold) {
		for _, i := range b.Images {
			add(want{FleetImage: messages.FleetImage{Image: i, Build: b.Build}, base: true})
		}
	}
	return out
}

// admitted tells whether this node is to fetch the preload now.
func (d *Distributor) admitted(p *messages.Preload) bool {
	return p != nil && !p.IsZero() && (d.canary(p) || within(p.Rollout, d.cfg.Node, p.Threshold))
}

func (d *Distributor) canary(p *messages.Preload) bool {
	return slices.Contains(p.Canaries, d.cfg.Node)
}

// within tells whether a wave's threshold admits the node; 0 admits none.
func within(key, node string, threshold uint64) bool {
	return threshold > 0 && messages.WaveHash(key, node) <= threshold
}
