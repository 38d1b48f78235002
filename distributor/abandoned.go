package distributor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// An agent's images carry the local name of its fleet, here its realm. What carries another's belongs to
// another agent on this engine, or to nobody any more: a fleet that was renamed, an installation that
// was made anew. Whether an agent works for a realm is asked by a note, which that one removes. Who does
// not answer for long is gone.

const (
	// DefaultAbandonedAfter is how long nobody may answer for images until they are taken for abandoned.
	DefaultAbandonedAfter = 24 * time.Hour
	// renamedAfter is the same for what an agent of this one's place and name brought, for another
	// fleet: a node that has one distributor was given that fleet.
	renamedAfter = 10 * time.Minute
	// renewedAfter is the same for the same fleet: a place has one record of a fleet, so that the one
	// before was made anew.
	renewedAfter = time.Minute
)

// realmOf is the local name that a tag begins with, or "".
func realmOf(tag string) string {
	name, _, ok := strings.Cut(tag, ":")
	if !ok || !messages.IsLocal(tag) {
		return ""
	}
	return name
}

// home is what this agent notes of its place: no two agents that run at one time have the same, fleets
// apart. "" where the place is not known.
func (d *Distributor) home() string {
	if d.cfg.Place == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(d.cfg.Place + "\n" + d.cfg.Node))
	return fmt.Sprintf("%x", sum[:16])
}

// tend answers for this agent's realm, and says where it is at home.
func (d *Distributor) tend(ctx context.Context, realm string, notes []Note) {
	home := Note{Kind: NoteHome, Realm: realm, Text: d.home()}
	known := home.Text == ""
	for _, n := range notes {
		switch {
		case n.Kind == NoteAsk && n.Realm == realm:
			d.strike(ctx, n)
		case n.Kind == NoteHome && n.Realm == realm && n.Text == home.Text:
			known = true
		}
	}
	if !known {
		d.write(ctx, home)
	}
}

// write keeps a new note.
func (d *Distributor) write(ctx context.Context, n Note) {
	n.At = time.Now()
	if n.inLedger() {
		d.mine[key{n.Kind, n.Text}] = n
	}
	d.keep(ctx, n)
}

// keep keeps a note. One that can't be kept is no reason to stop.
func (d *Distributor) keep(ctx context.Context, n Note) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if err := d.cfg.Engine.AddNote(ctx, n); err != nil {
		d.log.Warn().Err(err).Str("kind", string(n.Kind)).Msg("can't keep a note with the engine")
	}
}

// strike removes a note.
func (d *Distributor) strike(ctx context.Context, n Note) {
	if k := (key{n.Kind, n.Text}); n.inLedger() && d.mine[k].Realm == n.Realm {
		delete(d.mine, k)
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if err := d.cfg.Engine.RemoveNote(ctx, n); err != nil {
		d.log.Warn().Err(err).Str("kind", string(n.Kind)).Msg("can't remove a note from the engine")
	}
}

// foreign lists the realms other than this agent's that something on the engine belongs to.
func foreign(realm string, images []Image, notes []Note) []string {
	var out []string
	add := func(r string) {
		if r != "" && r != realm && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, i := range images {
		for _, tag := range i.Tags {
			add(realmOf(tag))
		}
	}
	for _, n := range notes {
		add(n.Realm)
	}
	return out
}

// abandoned lists the realms that nobody works for any more.
func (d *Distributor) abandoned(ctx context.Context, realm string, images []Image, notes []Note) []string {
	others := foreign(realm, images, notes)
	for r := range d.asked {
		if !slices.Contains(others, r) {
			delete(d.asked, r)
		}
	}
	var out []string
	for _, r := range others {
		if d.isAbandoned(ctx, r, notes) {
			out = append(out, r)
		}
	}
	return out
}

// patience is how long nobody may answer for a realm until it is taken for abandoned.
func (d *Distributor) patience(realm string, notes []Note) time.Duration {
	home := d.home()
	before := home != "" && slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == NoteHome && n.Realm == realm && n.Text == home })
	switch {
	case before && path.Base(realm) == d.cfg.Fleet:
		return min(renewedAfter, d.cfg.AbandonedAfter)
	case before:
		return min(renamedAfter, d.cfg.AbandonedAfter)
	}
	return d.cfg.AbandonedAfter
}

// isAbandoned tells whether nobody works for a realm any more, and asks for it where that is due. This
// agent itself has to have seen for a while that nobody answers: the engine, or the machine, may have
// been down all the time since it was asked.
func (d *Distributor) isAbandoned(ctx context.Context, realm string, notes []Note) bool {
	patience := d.patience(realm, notes)
	at := slices.IndexFunc(notes, func(n Note) bool { return n.Kind == NoteAsk && n.Realm == realm })
	seen := d.asked[realm]
	if at < 0 { // not asked yet, or answered
		if seen == nil || time.Since(seen.at) >= patience/4 {
			d.asked[realm] = &question{at: time.Now()}
			d.write(ctx, Note{Kind: NoteAsk, Realm: realm})
		}
		return false
	}
	if seen == nil {
		seen = &question{at: time.Now()}
		d.asked[realm] = seen
	}
	if !seen.told && time.Since(seen.at) >= min(renewedAfter, patience) {
		seen.told = true
		d.log.Warn().Str("realm", realm).Stringer("after", patience).
			Msg("there are images or notes on the engine of a fleet that no distributor here answers for; they are removed unless one does")
	}
	return time.Since(seen.at) >= min(renamedAfter, patience) && time.Since(notes[at].At) >= patience
}

// question is what is known of a realm that was asked for.
type question struct {
	at   time.Time // when this agent asked, or saw that it was asked
	told bool
}
