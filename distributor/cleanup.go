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
	if err == nil {
		d.heal(ctx, s.realm, notes, images)
		d.list(images, notes)
	}
	d.tend(ctx, s.realm, notes)
	s.gone = d.abandoned(ctx, s.realm, images, notes)
	if len(s.leftovers())+len(s.unwanted())+len(s.gone) == 0 {
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
			d.discard(ctx, s, l)
		}
	}
	for _, n := range s.unwanted() {
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

// wants tells whether the fleet's record wants an image.
func (s *sweep) wants(image string) bool {
	return slices.ContainsFunc(s.record.Wanted(), func(i messages.Image) bool { return messages.CanonicalName(string(i)) == messages.CanonicalName(image) })
}

// leftovers lists what is under local tags and not wanted. A tag as earlier versions made it is wanted until
// its image has the one of today.
func (s *sweep) leftovers() []leftover {
	wanted := s.record.Wanted()
	var out []leftover
	for _, i := range s.images {
		for _, tag := range i.Tags {
			realm := realmOf(tag)
			if realm == "" || !s.ours(realm) {
				continue
			}
			keeps := realm == s.realm && slices.ContainsFunc(wanted, func(w messages.Image) bool {
				local := s.record.LocalName(w)
				return tag == local || tagged(tag, w) && !slices.Contains(i.Tags, local)
			})
			if !keeps {
				out = append(out, leftover{tag, i})
			}
		}
	}
	return out
}

// unwanted lists the notes of images that are not wanted.
func (s *sweep) unwanted() []Note {
	var out []Note
	for _, n := range s.notes {
		if n.inLedger() && s.ours(n.Realm) && (n.Realm != s.realm || !s.wants(n.Text)) {
			out = append(out, n)
		}
	}
	return out
}

// claimed tells whether agents of another realm count on an image's being there.
func (s *sweep) claimed(realm string, i Image, name string) bool {
	if s.wants(name) {
		return true
	}
	byTag := slices.ContainsFunc(i.Tags, func(tag string) bool {
		other := realmOf(tag)
		return other != "" && other != realm && tagged(tag, messages.Image(name))
	})
	return byTag || slices.ContainsFunc(s.notes, func(n Note) bool { return n.Realm != realm && n.says(NotePull, n.Realm, name) })
}

// settle ends a note of an image that nobody wants, with the image where that was brought and is under
// no tag.
func (d *Distributor) settle(ctx context.Context, s *sweep, n Note) {
	image := messages.Image(n.Text)
	at := slices.IndexFunc(s.images, func(i Image) bool { return i.Has(image) })
	there := at >= 0
	switch {
	case there && slices.ContainsFunc(s.images[at].Tags, func(tag string) bool { return realmOf(tag) == n.Realm && tagged(tag, image) }):
		return // it goes with its tag
	case !there, n.Kind == NoteFound, s.claimed(n.Realm, s.images[at], n.Text):
	case s.used(s.images[at]):
		return
	default:
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
		left := slices.ContainsFunc(s.notes, func(n Note) bool { return n.Realm == realm && n.inLedger() }) || slices.ContainsFunc(images, func(i Image) bool {
			return slices.ContainsFunc(i.Tags, func(tag string) bool { return realmOf(tag) == realm })
		})
		if left {
			continue
		}
		for _, n := range s.notes {
			if n.Realm == realm && !n.inLedger() {
				d.strike(ctx, n)
			}
		}
		delete(d.asked, realm)
	}
}

// discard takes a realm's names off an image. The name that it was brought by goes first, so that
// the local tag is left to find it by if the engine refuses.
func (d *Distributor) discard(ctx context.Context, s *sweep, l leftover) {
	for _, name := range append(s.broughtAs(l), l.tag) {
		if err := d.cfg.Engine.Remove(ctx, name); err != nil {
			d.log.Warn().Err(err).Str("name", name).Msg("can't remove an image that the fleet no longer wants; leaving it for later")
			return
		}
	}
	d.log.Info().Str("tag", l.tag).Strs("image", l.image.Digests).Msg("removed an image that the fleet no longer wants")
}

// broughtAs lists the names by which a realm's agents brought the image of a leftover, and which no other
// realm counts on. Where the ledger says nothing of an image, it was brought if it has one such name, and
// nobody else has named it.
func (s *sweep) broughtAs(l leftover) []string {
	realm := realmOf(l.tag)
	var brought, untold []string
	for _, name := range l.image.Digests {
		switch {
		case !tagged(l.tag, messages.Image(name)), s.claimed(realm, l.image, name):
		case s.noted(NotePull, realm, name):
			brought = append(brought, name)
		case !s.noted(NoteFound, realm, name):
			untold = append(untold, name)
		}
	}
	others := slices.ContainsFunc(l.image.Tags, func(tag string) bool { return realmOf(tag) != realm })
	if len(brought) == 0 && len(untold) == 1 && !others {
		return untold
	}
	return brought
}

// noted tells whether there is such a note.
func (s *sweep) noted(kind NoteKind, realm, name string) bool {
	return slices.ContainsFunc(s.notes, func(n Note) bool { return n.says(kind, realm, name) })
}
