package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// ReadFleet reads a fleet's record with no more rights than a node has. ErrNotFound where the
// fleet has none yet.
func ReadFleet(ctx context.Context, c *queue.Client, fleet string) (messages.FleetChanged, error) {
	e, err := Fleets(c).Get(ctx, fleet)
	if err != nil {
		return messages.FleetChanged{}, err
	}
	return messages.FleetChanged{Revision: e.Revision, Record: e.Value}, nil
}

// AnnounceFleet tells the fleet's nodes of its record. It is a hint that nobody stores. It is left out where a
// newer version writes records, too: nodes read what this one doesn't know of theirs.
func AnnounceFleet(c *queue.Client, f messages.FleetChanged) error {
	if c.NewerFields(c.Space().FleetsBucket()) {
		return nil
	}
	if err := c.Hint(&f); err != nil {
		return fmt.Errorf("announcing the record of fleet %s: %w", f.Record.Fleet, err)
	}
	return nil
}

// WatchFleet calls fn with a fleet's record when it begins, after every reconnect and when
// a change is announced, until ctx ends, and returns its cause. It gives no record twice in a
// row, and no older one because a hint came late: such a hint has the record read, as the bucket may
// have been made anew or restored, with lower revisions. A fleet without a record is waited for.
func WatchFleet(ctx context.Context, c *queue.Client, fleet string, fn func(messages.FleetChanged)) error {
	w := fleetWatch{c: c, fleet: fleet, fn: fn}
	return c.HearHints(ctx, c.Space().AnyVersion(messages.TypeFleetChanged, fleet), func() error { return w.look(ctx) },
		func(subject string, m messages.Message) error { return w.hint(ctx, subject, m) })
}

// fleetWatch is what a watcher was given last.
type fleetWatch struct {
	c     *queue.Client
	fleet string
	fn    func(messages.FleetChanged)
	last  messages.FleetChanged
}

// look reads the record, and gives it: what the bucket has counts, even where it was made anew
// and its revisions began again.
func (w *fleetWatch) look(ctx context.Context) error {
	f, err := ReadFleet(ctx, w.c, w.fleet)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err == nil && !f.Same(&w.last) {
		w.last = f
		w.fn(f)
	}
	return err
}

// hint gives an announced record that is newer. One that a newer controller announced is read, and one that is
// older is a reason to read.
func (w *fleetWatch) hint(ctx context.Context, subject string, m messages.Message) error {
	_, f, err := messages.DecodeAs[*messages.FleetChanged](m)
	switch {
	case errors.Is(err, messages.ErrNewer):
		return w.look(ctx)
	case err != nil || f.Record.Fleet != w.fleet:
		w.c.Logger().Warn().Err(err).Str("subject", subject).Msg("announcement passed over")
	case f.Revision > w.last.Revision:
		w.last = *f
		w.fn(*f)
	case !f.Same(&w.last):
		return w.look(ctx)
	}
	return nil
}
