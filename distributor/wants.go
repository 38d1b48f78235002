package distributor

import (
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// want is an image that this node should have, and why.
type want struct {
	messages.FleetImage
	preload     bool   // it is what the current rollout brings
	base        bool   // it is a base of a build that runs: its failures are no news
	traceparent string // of the rollout that brings it
}

// wantPreload is the image that a rollout brings.
func wantPreload(p *messages.Preload) want {
	return want{FleetImage: p.FleetImage, preload: true, traceparent: p.Traceparent}
}

// wants lists what this node should have, the most urgent first: what apps are started
// from, what the fleet waits for, what a rollback needs, what a build may need.
func (d *Distributor) wants(r *messages.FleetRecord) []want {
	var out []want
	add := func(w want) {
		at := slices.IndexFunc(out, func(o want) bool { return o.Image == w.Image })
		switch {
		case w.IsZero():
		case at >= 0 && w.preload: // the rollout brings what is current: what is reported is about the rollout
			out[at] = w
		case at >= 0:
		default:
			out = append(out, w)
		}
	}
	add(want{FleetImage: r.Current, traceparent: d.traceOf(r.Current)})
	if d.admitted(r.Preload) {
		add(wantPreload(r.Preload))
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

// mayFetch tells whether this node is to fetch, now, what it lacks: the fleet's record says whose turn
// it is, and how far the current image may spread.
func (d *Distributor) mayFetch(r *messages.FleetRecord, w want) bool {
	switch {
	case w.base: // they have a bound of their own
		return true
	case !r.Turns.Admits(d.cfg.Node), r.HeldBack(d.cfg.Node, d.mirror(r), w.Image):
		return false
	}
	return w.preload || w.Image != r.Current.Image || r.Spread.Admits(d.cfg.Node)
}

// admitted tells whether this node is to fetch the preload now.
func (d *Distributor) admitted(p *messages.Preload) bool {
	return p != nil && !p.IsZero() && (d.canary(p) || within(p.Rollout, d.cfg.Node, p.Threshold))
}

// canary tells whether this node is to try the preload.
func (d *Distributor) canary(p *messages.Preload) bool {
	return slices.Contains(p.Canaries, d.cfg.Node)
}

// within tells whether a wave's threshold admits the node; 0 admits none.
func within(key, node string, threshold uint64) bool {
	return threshold > 0 && messages.WaveHash(key, node) <= threshold
}
