package distributor

import (
	"context"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// leftover is an image under a local tag that no record names.
type leftover struct {
	tag   string
	image Image
}

// sweep is one pass of cleaning up: what is on the engine, and what it is judged by.
type sweep struct {
	realm      string
	record     *messages.FleetRecord
	gone       []string // realms that nobody works for
	images     []Image
	notes      []Note
	containers []Container
}

// cleanup removes the images that this fleet's nodes tagged, or pulled and had no time to tag, that the
// record no longer wants and that no container is made from; and the same of those that nobody works
// for any more. It decides on a record read just now.
func (d *Distributor) cleanup(ctx context.Context, images []Image) {
	record := d.known()
	if record == nil {
		return
	}
	s := &sweep{realm: record.Record.LocalRealm(), record: &record.Record, images: images}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	notes, err := d.cfg.Engine.Notes(ctx)
	if err != nil { // without them the agent knows what it tagged
		d.log.Debug().Err(err).Msg("can't read the notes that are kept with the engine")
	}
	s.notes = notes
	d.tend(ctx, s.realm, notes)
	s.gone = d.abandoned(ctx, s.realm, images, notes)
	if len(s.leftovers())+len(s.pulls())+len(s.gone) == 0 {
		return
	}
	fresh, err := d.readRecord(ctx)
	if err != nil || fresh.Revision < record.Revision || fresh.Record.LocalRealm() != s.realm {
		return
	}
	s.record = &fresh.Record
	if s.containers, err = d.cfg.Engine.Containers(ctx); err != nil {
		return
	}
	for _, l := range s.leftovers() {
		if !s.used(l.image) {
			d.discard(ctx, l)
		}
	}
	for _, n := range s.pulls() {
		d.settle(ctx, s, n)
	}
	d.forgetRealms(ctx, s)
}

// ours tells whether a realm's images are this agent's to remove.
func (s *sweep) ours(realm string) bool { return realm == s.realm || slices.Contains(s.gone, realm) }

// used tells whether a container is made from an image.
func (s *sweep) used(i Image) bool {
	return slices.ContainsFunc(s.containers, func(c Container) bool { return c.ImageID == i.ID })
}

// leftovers lists what is under local tags and not wanted.
func (s *sweep) leftovers() []leftover {
	var wanted []string
	for _, i := range s.record.Wanted() {
		wanted = append(wanted, s.record.LocalName(i))
	}
	var out []leftover
	for _, i := range s.images {
		for _, tag := range i.Tags {
			if realm := realmOf(tag); realm != "" && s.ours(realm) && !slices.Contains(wanted, tag) {
				out = append(out, leftover{tag, i})
			}
		}
	}
	return out
}

// pulls lists the notes of pulls.
func (s *sweep) pulls() []Note {
	var out []Note
	for _, n := range s.notes {
		if n.Kind == NotePull && s.ours(n.Realm) {
			out = append(out, n)
		}
	}
	return out
}

// settle ends a note of a pull, with the image that it brought where that was never tagged and nobody
// wants it.
func (d *Distributor) settle(ctx context.Context, s *sweep, n Note) {
	image := messages.Image(n.Text)
	at := slices.IndexFunc(s.images, func(i Image) bool { return i.Has(image) })
	tagged := at >= 0 && slices.ContainsFunc(s.images[at].Tags, func(tag string) bool { return realmOf(tag) == n.Realm })
	switch {
	case tagged: // from here on its tag tells
	case n.Realm == s.realm && slices.Contains(s.record.Wanted(), image): // it is being fetched
		return
	case at >= 0 && s.used(s.images[at]):
		return
	case at >= 0:
		if err := d.cfg.Engine.Remove(ctx, n.Text); err != nil {
			d.log.Warn().Err(err).Str("name", n.Text).Msg("can't remove an image that was pulled in vain; leaving it for later")
			return
		}
		d.log.Info().Str("image", n.Text).Msg("removed an image that was pulled and is no longer wanted")
	}
	d.strike(ctx, n)
}

// forgetRealms removes the notes of realms that nobody works for, once none of their images is left.
func (d *Distributor) forgetRealms(ctx context.Context, s *sweep) {
	images, err := d.images(ctx)
	if err != nil {
		return
	}
	for _, realm := range s.gone {
		left := slices.ContainsFunc(images, func(i Image) bool {
			return slices.ContainsFunc(i.Tags, func(tag string) bool { return realmOf(tag) == realm })
		})
		if left {
			continue
		}
		for _, n := range s.notes {
			if n.Realm == realm && n.Kind != NotePull {
				d.strike(ctx, n)
			}
		}
		delete(d.asked, realm)
	}
}

// discard takes a realm's names off an image. The name it was pulled by goes first, so that
// the local tag is left to find it by if the engine refuses. Where somebody else has named the
// image too, only the tag goes.
func (d *Distributor) discard(ctx context.Context, l leftover) {
	realm := realmOf(l.tag)
	foreign := slices.ContainsFunc(l.image.Tags, func(tag string) bool { return realmOf(tag) != realm })
	var pulled []string
	for _, digest := range l.image.Digests {
		if tagged(l.tag, messages.Image(digest)) {
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
