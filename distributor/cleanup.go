package distributor

import (
	"context"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// leftover is an image under a local tag that the record no longer names.
type leftover struct {
	tag   string
	image Image
}

// cleanup removes the images that this fleet's nodes tagged, that the record no longer wants
// and that no container is made from. It decides on a record read just now.
func (d *Distributor) cleanup(ctx context.Context, images []Image) {
	record := d.known()
	if record == nil || len(d.leftovers(&record.Record, images)) == 0 {
		return
	}
	fresh, err := d.readRecord(ctx)
	if err != nil || fresh.Revision < record.Revision {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	containers, err := d.cfg.Engine.Containers(ctx)
	if err != nil {
		return
	}
	for _, l := range d.leftovers(&fresh.Record, images) {
		used := slices.ContainsFunc(containers, func(c Container) bool { return c.ImageID == l.image.ID })
		if used {
			continue
		}
		d.discard(ctx, &fresh.Record, l)
	}
}

// leftovers lists what is under local tags of this fleet and not wanted.
func (d *Distributor) leftovers(r *messages.FleetRecord, images []Image) []leftover {
	var wanted []string
	for _, i := range r.Wanted() {
		wanted = append(wanted, LocalTag(r, i))
	}
	var out []leftover
	for _, i := range images {
		for _, tag := range i.Tags {
			if strings.HasPrefix(tag, localName(r)+":") && !slices.Contains(wanted, tag) {
				out = append(out, leftover{tag, i})
			}
		}
	}
	return out
}

// discard takes our names off an image. The name it was pulled by goes first, so that
// the local tag is left to find it by if the engine refuses. Where somebody else has named the
// image too, only our tag goes.
func (d *Distributor) discard(ctx context.Context, r *messages.FleetRecord, l leftover) {
	_, short, _ := strings.Cut(l.tag, ":")
	foreign := slices.ContainsFunc(l.image.Tags, func(tag string) bool { return !strings.HasPrefix(tag, localName(r)+":") })
	var pulled []string
	for _, digest := range l.image.Digests {
		if _, sum, _ := strings.Cut(digest, "@"); shortDigest(sum) == short {
			pulled = append(pulled, digest)
		}
	}
	names := []string{l.tag}
	if !foreign && len(pulled) == 1 {
		names = []string{pulled[0], l.tag}
	}
	for _, name := range names {
		if err := d.cfg.Engine.Remove(ctx, name); err != nil {
			d.log.Warn().Err(err).Str("name", name).Msg("can't remove an image that the fleet no longer wants; leaving it for later")
			return
		}
	}
	d.log.Info().Str("tag", l.tag).Strs("image", l.image.Digests).Msg("removed an image that the fleet no longer wants")
}
