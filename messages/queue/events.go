package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Received is a message as it was read from a stream.
type Received struct {
	Subject  string
	Sequence uint64
	Stored   time.Time // by the server's clock
	Envelope messages.Envelope
	Payload  messages.Payload
	Newer    messages.Type // of a build request of a newer version, whose payload has only what every version has; or ""
	message  messages.Message
}

// ReadOptions say what to read of a stream. The zero value reads all that is there.
type ReadOptions struct {
	Filters      []string  // subject filters, as Space.Filter makes them; none means all
	FromSequence uint64    // begin at this message
	Since        time.Time // or with those stored from then on
	New          bool      // or with those stored from now on
	Follow       bool      // go on until ctx ends, instead of ending when all is read
	CaughtUp     func()    // called once when everything that was there has been given, if not nil
}

// ReadEvents gives events to fn, in order. Without Follow it returns nil when all are read.
// What can't be decoded is passed over, and logged. An error of fn ends it and is returned.
func (c *Client) ReadEvents(ctx context.Context, o ReadOptions, fn func(Received) error) error {
	return c.readStream(ctx, c.space.EventsStream(), o, fn)
}

// ReadLogs does for logs what ReadEvents does for events.
func (c *Client) ReadLogs(ctx context.Context, o ReadOptions, fn func(Received) error) error {
	return c.readStream(ctx, c.space.LogsStream(), o, fn)
}

// ReadRequests does for build requests what ReadEvents does for events. Their orders are set.
func (c *Client) ReadRequests(ctx context.Context, o ReadOptions, fn func(Received) error) error {
	return c.readStream(ctx, c.space.RequestsStream(), o, fn)
}

func (c *Client) readStream(ctx context.Context, stream string, o ReadOptions, fn func(Received) error) error {
	s := session{stream: stream, filters: o.Filters, from: o.FromSequence, since: o.Since, newOnly: o.New}
	newer := map[messages.Type]bool{} // said once: a newer program may send many
	each := func(m stored) error {
		s.from, s.newOnly = m.sequence+1, false // where an interrupted session goes on
		r, err := c.received(m)
		if errors.Is(err, messages.ErrNewer) {
			if t := messages.TypeOf(m.message); !newer[t] {
				newer[t] = true
				c.log.Warn().Err(err).Str("stream", stream).Msg("messages of a newer fenceline passed over")
			}
			return nil
		}
		if err != nil {
			c.log.Warn().Err(err).Str("stream", stream).Uint64("sequence", m.sequence).Msg("message passed over")
			return nil
		}
		if err := fn(r); err != nil {
			return Permanent(userError{err})
		}
		return nil
	}
	caughtUp := func() error {
		if o.CaughtUp != nil {
			o.CaughtUp()
			o.CaughtUp = nil
		}
		if !o.Follow {
			return Permanent(errCaughtUp)
		}
		return nil
	}
	err := c.retry(ctx, "reading "+stream, func() error {
		err := c.run(ctx, s, each, caughtUp)
		if err != nil && !o.Follow && !errors.Is(err, errGap) {
			return Permanent(err) // a reader that ends says so at once
		}
		return err
	})
	var user userError
	switch {
	case errors.Is(err, errCaughtUp):
		return nil
	case errors.As(err, &user):
		return user.error
	}
	return fmt.Errorf("reading stream %s: %w", stream, err)
}

// received decodes a message. One that stands on a subject of another message is refused: a
// credential is confined to subjects, so that the subject says what its holder may tell.
func (c *Client) received(m stored) (Received, error) {
	e, p, err := messages.Decode(m.message)
	var newer messages.Type
	if errors.Is(err, messages.ErrNewer) {
		if r, ok := messages.NewerRequest(m.message); ok {
			p, newer, err = r, messages.TypeOf(m.message), nil
		}
	}
	if err == nil {
		err = c.belongs(m, p)
	}
	if err != nil {
		return Received{}, err
	}
	if r, ok := p.(*messages.BuildRequested); ok {
		r.Accepted(m.sequence)
	}
	return Received{m.subject, m.sequence, m.time, e, p, newer, m.message}, nil
}

// belongs tells whether a message stands where its type and what it says belong.
func (c *Client) belongs(m stored, p messages.Payload) error {
	if want := c.space.SubjectAs(messages.TypeOf(m.message), p); want != m.subject {
		return fmt.Errorf("%w: it was published on %s, but what it says belongs on %s", messages.ErrMalformed, m.subject, want)
	}
	return nil
}
