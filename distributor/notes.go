package distributor

import "time"

// Note is what an agent keeps with the engine, so that whoever comes after it, or beside it, finds it
// there: an agent has no other memory, and the engine's is where its images are.
type Note struct {
	Kind  NoteKind
	Realm string // the local name of the fleet that it is about, as local tags begin with
	Text  string
	At    time.Time // when it was written, by the writer's clock
}

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	// NotePull says before a pull which image, by name and digest, is fetched for the realm: until it is
	// tagged nothing else tells who brought it.
	NotePull NoteKind = "pull"
	// NoteHome says that an agent of a place, its Text, works or worked for the realm.
	NoteHome NoteKind = "home"
	// NoteAsk asks whether an agent still works for the realm: one that does removes it.
	NoteAsk NoteKind = "ask"
)
