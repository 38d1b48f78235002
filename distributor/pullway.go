package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The fields that errors name which say otherwise how a node fetches.
const (
	FieldPull    = "Pull"
	FieldMirrors = "Pull.Mirrors"
)

// checkPull refuses what can't be how a node fetches.
func checkPull(p *messages.Pull) error {
	err := p.Validate()
	if err == nil {
		return nil
	}
	field := FieldPull
	if strings.HasPrefix(err.Error(), "mirrors") {
		field = FieldMirrors
	}
	return &queue.FieldError{Fields: []string{field}, Err: fmt.Errorf("how this node fetches images: %w", err)}
}

// way is how this node fetches images: as it was told itself, or as its fleet says.
func (d *Distributor) way(r *messages.FleetRecord) messages.Pull {
	if d.cfg.Pull != nil {
		return d.cfg.Pull.For(d.cfg.Labels)
	}
	return r.Pull.For(d.cfg.Labels)
}

// mirror is the mirror that this node fetches from first and shares with others, or "".
func (d *Distributor) mirror(r *messages.FleetRecord) string {
	way := d.way(r)
	return way.Shared()
}

// source is where an image comes from that the agent fetches: one for the look for room and for what follows, which
// asks on the same connections. Of an image that the engine fetches it is nil.
type source struct {
	Content
	way messages.Pull
}

// open opens the source of an image.
func (d *Distributor) open(image messages.Image, r *messages.FleetRecord) (*source, error) {
	way := d.way(r)
	if d.cfg.Contents == nil || way.Way != messages.PullMirrors && way.Way != messages.PullLoad {
		return nil, nil //nolint:nilnil // as is said above
	}
	content, err := d.cfg.Contents.Open(image, way.Mirrors)
	if err != nil {
		return nil, err
	}
	return &source{content, way}, nil
}

// bring has the engine pull an image, or feeds it, and returns the bytes that were fetched.
func (d *Distributor) bring(ctx context.Context, image messages.Image, from *source, progress func(Progress)) (int64, error) {
	if from == nil {
		return d.cfg.Engine.Pull(ctx, image, progress)
	}
	fetched := int64(0)
	for tries := 0; ; tries++ {
		n, err := d.cfg.Engine.Load(ctx, image, from.Content, func(p Progress) {
			p.Bytes += fetched
			p.Total += fetched
			progress(p)
		})
		fetched += n
		d.tellTroubles(&from.way)
		if !errors.Is(err, ErrWrongBytes) || tries == len(from.way.Mirrors) {
			return fetched, err
		}
		d.log.Warn().Err(err).Stringer("image", image).Msg("fetching it again from the others")
	}
}

// troubles lists those of the mirrors of a way that failed when they were asked last.
func (d *Distributor) troubles(way *messages.Pull) []messages.MirrorTrouble {
	if d.cfg.Contents == nil || len(way.Mirrors) == 0 {
		return nil
	}
	return slices.DeleteFunc(d.cfg.Contents.Troubles(), func(t messages.MirrorTrouble) bool {
		return !slices.ContainsFunc(way.Mirrors, func(m messages.Mirror) bool { return m.URL == t.Mirror })
	})
}

// tellTroubles logs how mirrors failed, where that is news, and has a heartbeat sent about it.
func (d *Distributor) tellTroubles(way *messages.Pull) {
	now := d.troubles(way)
	for _, t := range now {
		if !slices.Contains(d.mirrorsTold, t) {
			d.log.Warn().Str("mirror", t.Mirror).Str("reason", t.Reason).Msg("a mirror failed; fetching from the next")
			signal(d.changed)
		}
	}
	d.mirrorsTold = now
}
