package distributor

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// The ledger of a node says of each image that agents tagged on its engine who brought it, when and why.
// It is kept as notes. What is lost of it (a person prunes volumes) is written again while the agent
// runs that knows it; after that, what carries a local tag and has no note counts as brought, and as
// somebody else's too where it has any other name.

// ledgerMost is how many entries a heartbeat lists.
const ledgerMost = 20

// key is what tells notes of one realm apart.
type key struct {
	kind NoteKind
	text string
}

// why says for what a wanted image is fetched.
func (w want) why() string {
	switch {
	case w.base:
		return "base of build " + w.Build
	case w.Rollout != "":
		return "rollout " + w.Rollout
	case w.Build != "":
		return "build " + w.Build
	}
	return "set by a person"
}

// noteFetch notes, before a pull, that the image is fetched for the fleet.
func (d *Distributor) noteFetch(ctx context.Context, realm string, w want) {
	for _, kind := range []NoteKind{NotePull, NoteFound} { // of a copy that is gone
		if n, known := d.mine[key{kind, string(w.Image)}]; known {
			d.strike(ctx, n)
		}
	}
	d.write(ctx, Note{Kind: NotePull, Realm: realm, Text: string(w.Image), Why: w.why()})
}

// noteOrigin notes, before an image is tagged for the realm that is on the engine, who brought it: an agent
// of whichever fleet, or nobody that is known. Where that can't be had, the image is tagged all the same.
func (d *Distributor) noteOrigin(ctx context.Context, realm string, w want) {
	text := string(w.Image)
	for _, kind := range []NoteKind{NotePull, NoteFound} {
		if _, known := d.mine[key{kind, text}]; known {
			return
		}
	}
	notes, err := d.cfg.Engine.Notes(ctx)
	if err != nil {
		d.log.Warn().Err(err).Msg("can't read the notes that are kept with the engine")
		return
	}
	images, err := d.images(ctx)
	if err != nil {
		return
	}
	n := Note{Kind: NoteFound, Realm: realm, Text: text, Why: "was there already, for " + w.why()}
	for _, other := range notes {
		switch {
		case other.says(NotePull, realm, text), other.says(NoteFound, realm, text):
			d.mine[key{other.Kind, text}] = other
			return
		case other.says(NotePull, other.Realm, text):
			n.Kind, n.Why = NotePull, "taken over from fleet "+path.Base(other.Realm)
		}
	}
	if n.Kind == NoteFound {
		if of := taggedBy(images, notes, w.Image); of != "" {
			n.Kind, n.Why = NotePull, "was there for fleet "+path.Base(of)+" before the ledger"
		}
	}
	d.write(ctx, n)
}

// taggedBy is the realm that has a tag on an image, and no note that it was found; "" for none.
func taggedBy(images []Image, notes []Note, image messages.Image) string {
	for _, i := range images {
		for _, tag := range i.Tags {
			realm := realmOf(tag)
			found := slices.ContainsFunc(notes, func(n Note) bool { return n.says(NoteFound, realm, string(image)) })
			if realm != "" && i.Has(image) && tagged(tag, image) && !found {
				return realm
			}
		}
	}
	return ""
}

// heal writes notes of this agent's realm again that somebody removed, and takes in those that it does
// not know.
func (d *Distributor) heal(ctx context.Context, realm string, notes []Note, images []Image) {
	for _, n := range notes {
		if n.inLedger() && n.Realm == realm {
			d.mine[key{n.Kind, n.Text}] = n
		}
	}
	for k, n := range d.mine {
		there := slices.ContainsFunc(images, func(i Image) bool { return i.Has(messages.Image(n.Text)) })
		switch {
		case n.Realm != realm || !there && !slices.ContainsFunc(notes, func(o Note) bool { return o.says(n.Kind, realm, n.Text) }):
			delete(d.mine, k)
		case !slices.ContainsFunc(notes, func(o Note) bool { return o.says(n.Kind, realm, n.Text) }):
			d.keep(ctx, n)
		}
	}
}

// list makes the ledger that heartbeats show: of what is on the engine, the newest first.
func (d *Distributor) list(images []Image, notes []Note) {
	var out []messages.LedgerEntry
	for _, i := range images {
		for _, n := range notes {
			if n.inLedger() && i.Has(messages.Image(n.Text)) {
				out = append(out, entry(n, i))
			}
		}
		for _, tag := range i.Tags {
			realm := realmOf(tag)
			if realm != "" && !slices.ContainsFunc(out, func(e messages.LedgerEntry) bool { return e.Tag == tag }) {
				out = append(out, entry(Note{Realm: realm, Text: digestNamed(i, tag)}, i))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b messages.LedgerEntry) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Image, b.Image))
	})
	more := max(len(out)-ledgerMost, 0)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ledger, d.ledgerMore = out[:len(out)-more], more
}

// entry is what a note says, beside the tag that its realm has on the image.
func entry(n Note, i Image) messages.LedgerEntry {
	e := messages.LedgerEntry{
		Image: messages.Image(n.Text), Fleet: path.Base(n.Realm), Found: n.Kind == NoteFound, At: n.At, Why: messages.Shorten(n.Why, maxWhy),
		ID: strings.Trim(strings.TrimPrefix(path.Dir(n.Realm), messages.LocalHost), "/"),
	}
	if at := slices.IndexFunc(i.Tags, func(tag string) bool { return realmOf(tag) == n.Realm && (n.Text == "" || tagged(tag, e.Image)) }); at >= 0 {
		e.Tag = i.Tags[at]
	}
	return e
}

// maxWhy bounds a reason in a heartbeat.
const maxWhy = 160

// digestNamed is the name with digest of an image that a tag is for, or "".
func digestNamed(i Image, tag string) string {
	at := slices.IndexFunc(i.Digests, func(d string) bool { return tagged(tag, messages.Image(d)) })
	if at < 0 {
		return ""
	}
	return i.Digests[at]
}
