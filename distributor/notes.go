package distributor

import (
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Note is what an agent keeps with the engine, so that whoever comes after it, or beside it, finds it
// there: an agent has no other memory, and the engine's is where its images are. An engine that is made
// anew loses both.
type Note struct {
	Kind  NoteKind
	Realm string // the local name of the fleet that it is about, as local tags begin with
	Text  string
	Why   string    // for people
	At    time.Time // when it was written, by the writer's clock
}

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	// NotePull says which image, by name and digest, was fetched for the realm: written before the pull,
	// and kept while the image is there. These are the ledger of what fenceline brought.
	NotePull NoteKind = "pull"
	// NoteFound says that the image was there before an agent of the realm tagged it: the tag alone is
	// fenceline's.
	NoteFound NoteKind = "found"
	// NoteHome says that an agent of a place, its Text, works or worked for the realm.
	NoteHome NoteKind = "home"
	// NoteAsk asks whether an agent still works for the realm: one that does removes it.
	NoteAsk NoteKind = "ask"
)

// inLedger tells whether the note is about an image.
func (n Note) inLedger() bool { return n.Kind == NotePull || n.Kind == NoteFound }

// says tells whether the note is of this kind, about this realm and this text.
func (n Note) says(kind NoteKind, realm, text string) bool {
	return n.Kind == kind && n.Realm == realm && messages.CanonicalName(n.Text) == messages.CanonicalName(text)
}
