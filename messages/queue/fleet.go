package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
)

// hintsPending bounds the fleet announcements that wait for a slow reader. What comes when it
// is full is lost, as any announcement may be: nodes read the record from time to time too.
const hintsPending = 256

// ReadFleet reads a fleet's record with no more rights than a node has. ErrNotFound where the
// fleet has none yet.
func (c *Client) ReadFleet(ctx context.Context, fleet string) (messages.FleetChanged, error) {
	e, err := Fleets(c).Get(ctx, fleet)
	if err != nil {
		return messages.FleetChanged{}, err
	}
	return messages.FleetChanged{Revision: e.Revision, Record: e.Value}, nil
}

// AnnounceFleet tells the fleet's nodes of its record. It is a hint that nobody stores.
func (c *Client) AnnounceFleet(_ context.Context, f messages.FleetChanged) error {
	subject := c.space.Subject(&f)
	m, err := messages.Encode(c.Envelope(f.Record.Fleet, ""), &f)
	if err != nil {
		return err
	}
	if err := c.nc.PublishMsg(&nats.Msg{Subject: subject, Header: nats.Header(m.Headers), Data: m.Body}); err != nil {
		return fmt.Errorf("announcing the record of fleet %s: %w", f.Record.Fleet, classify(err))
	}
	return nil
}

// WatchFleet calls fn with a fleet's record when it begins, after every reconnect and when
// a change is announced, until ctx ends, and returns its cause. It gives no record twice in a
// row, and no older one because a hint came late. A fleet without a record is waited for.
func (c *Client) WatchFleet(ctx context.Context, fleet string, fn func(messages.FleetChanged)) error {
	w := fleetWatch{fleet: fleet, fn: fn}
	return c.retry(ctx, "watching fleet "+fleet, func() error {
		again := c.again()
		hints := make(chan *nats.Msg, hintsPending)
		sub, err := c.nc.ChanSubscribe(c.space.AnyVersion(messages.TypeFleetChanged, fleet), hints)
		if err != nil {
			return classify(err)
		}
		defer func() { _ = sub.Unsubscribe() }()
		f, err := c.ReadFleet(ctx, fleet)
		switch {
		case err == nil:
			w.read(f)
		case !errors.Is(err, ErrNotFound):
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-again:
				return errGap
			case m := <-hints:
				if err := c.hint(ctx, m, &w); err != nil {
					return err
				}
			}
		}
	})
}

// fleetWatch is what a watcher was given last.
type fleetWatch struct {
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
func (c *Client) hint(ctx context.Context, m *nats.Msg, w *fleetWatch) error {
	_, f, err := messages.DecodeAs[*messages.FleetChanged](messages.Message{Headers: messages.Headers(m.Header), Body: m.Data})
	switch {
	case errors.Is(err, messages.ErrNewer):
		changed, err := c.ReadFleet(ctx, w.fleet)
		if err == nil && changed.Revision > w.last { // a read may be a moment old
			w.read(changed)
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	case err != nil || f.Record.Fleet != w.fleet:
		c.log.Warn().Err(err).Str("subject", m.Subject).Msg("announcement passed over")
	case f.Revision > w.last:
		w.last = f.Revision
		w.fn(*f)
	}
	return nil
}
