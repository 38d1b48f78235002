package controller

import (
	"context"

	"github.com/fenceline/fenceline/fence"
)

// notedValue is a value that a journal ends with.
type notedValue struct {
	kind, value string
	known       bool
}

// journal notes what a fence config is where it is not what was noted last, with what it comes from. What
// can't be noted is noted at a later look, and keeps the fence config from nothing.
func (f *fleetActor) journal(ctx context.Context, place fence.Place, value string, cause fence.Cause) {
	now := notedValue{place.Kind, value, true}
	if place.Journal == nil || f.noted == now || f.owner(place, f.fleet) != f.fleet {
		return
	}
	last, known, err := place.Journal.Last(ctx)
	if err == nil && (known && last != value || !known && value != "") {
		err = place.Journal.Note(ctx, value, cause)
	}
	f.noteJournal(now, err)
}

// journalSet notes what a person set, also where the fence config was that already: who and why are new.
func (f *fleetActor) journalSet(ctx context.Context, place fence.Place, value string, cause fence.Cause) {
	if place.Journal != nil {
		f.noteJournal(notedValue{place.Kind, value, true}, place.Journal.Note(ctx, value, cause))
	}
}

func (f *fleetActor) noteJournal(v notedValue, err error) {
	if err != nil {
		f.log.Warn().Err(err).Msg("the history of the fence config lacks a value for now")
		return
	}
	f.noted = v
}
