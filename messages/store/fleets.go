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
// row, and no older one because a hint came late. A fleet without a record is waited for.
func WatchFleet(ctx context.Context, c *queue.Client, fleet string, fn func(messages.FleetChanged)) error {
	w := fleetWatch{c: c, fleet: fleet, fn: fn}
	return c.HearHints(ctx, c.Space().AnyVersion(messages.TypeFleetChanged, fleet), func() error {
		f, err := ReadFleet(ctx, c, fleet)
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		if err == nil {
			w.read(f)
		}
		return err
	}, func(subject string, m messages.Message) error { return w.hint(ctx, subject, m) })
}

// fleetWatch is what a watcher was given last.
type fleetWatch struct {
	c     *queue.Client
	fleet string
	fn    func(messages.FleetChanged)
	last  uint64
}

// read gives a record that was read: what the bucket has counts, even where it was made anew
// and its revisions began again.
func (w *fleetWatch) read(f messages.FleetChanged) {
	if f.Revision != w.last {
		w.last = f.Revision
		w.fn(f)
	}
}

// hint gives an announced record that is newer. One that a newer controller announced is read.
func (w *fleetWatch) hint(ctx context.Context, subject string, m messages.Message) error {
	_, f, err := messages.DecodeAs[*messages.FleetChanged](m)
	switch {
	case errors.Is(err, messages.ErrNewer):
		changed, err := ReadFleet(ctx, w.c, w.fleet)
		if err == nil && changed.Revision > w.last { // a read may be a moment old
			w.read(changed)
		}
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		return err
	case err != nil || f.Record.Fleet != w.fleet:
		w.c.Logger().Warn().Err(err).Str("subject", subject).Msg("announcement passed over")
	case f.Revision > w.last:
		w.last = f.Revision
		w.fn(*f)
	}
	return nil
}
