package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Received is a message as it was read from a stream.
type Received struct {
	Subject  string
	Sequence uint64
	Stored   time.Time // by the server's clock
	Envelope messages.Envelope
	Payload  messages.Payload
	Newer    messages.Type // of a message of a newer version, whose payload has only what every version has; or ""
	Message  messages.Message
}

// ReadOptions say what to read of a stream. The zero value reads all that is there.
type ReadOptions struct {
	Filters      []string            // subject filters, as Space.Filter makes them; none means all
	FromSequence uint64              // begin at this message
	New          bool                // or with those stored from now on
	Follow       bool                // go on until ctx ends, instead of ending when all is read
	Broken       func(Stored, error) // called with what can't be decoded, which is passed over; nil: it is logged
	CaughtUp     func()              // called once when everything that was there has been given, if not nil
}

// Read gives the messages of a stream to fn, in order. Without Follow it returns nil when all are
// read. With it, it goes on in a stream that was made anew or restored meanwhile, and has lower sequences. What can't be decoded is passed over, and logged. An error of fn ends it and is returned.
func (c *Client) Read(ctx context.Context, stream string, o ReadOptions, fn func(Received) error) error {
	s := session{stream: stream, filters: o.Filters, from: o.FromSequence, newOnly: o.New}
	place := place{c: c, s: &s}
	newer := map[messages.Type]bool{} // said once: a newer program may send many
	each := func(m Stored) error {
		if !place.take(m) {
			return nil
		}
		r, err := c.Decode(m)
		if errors.Is(err, messages.ErrNewer) {
			if t := messages.TypeOf(m.Message); !newer[t] {
				newer[t] = true
				c.log.Warn().Err(err).Str("stream", stream).Msg("messages of a newer fenceline passed over")
			}
			return nil
		}
		if err != nil && o.Broken != nil {
			o.Broken(m, err)
			return nil
		}
		if err != nil {
			c.log.Warn().Err(err).Str("stream", stream).Uint64("sequence", m.Sequence).Msg("message passed over")
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
		if o.Follow {
			if err := place.find(ctx); err != nil {
				return err
			}
		}
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

// Decode reads a stored message. One that stands on a subject of another message is refused: a
// credential is confined to subjects, so that the subject says what its holder may tell.
func (c *Client) Decode(m Stored) (Received, error) {
	e, p, newer, err := messages.DecodeStored(m.Message, m.Sequence)
	if err == nil {
		err = c.belongs(m, p)
	}
	if err != nil {
		return Received{}, err
	}
	return Received{m.Subject, m.Sequence, m.Time, e, p, newer, m.Message}, nil
}

// belongs tells whether a message stands where its type and what it says belong.
func (c *Client) belongs(m Stored, p messages.Payload) error {
	if want := c.space.SubjectAs(messages.TypeOf(m.Message), p); want != m.Subject {
		return fmt.Errorf("%w: it was published on %s, but what it says belongs on %s", messages.ErrMalformed, m.Subject, want)
	}
	return nil
}

// Stored is a message as a stream keeps it.
type Stored struct {
	Subject  string
	Sequence uint64
	Time     time.Time // by the server's clock
	Message  messages.Message
}

// Last reads the last message on a subject, which may have wildcards, from the stream's leader,
// which is never stale. ErrNotFound tells that there is none.
func (c *Client) Last(ctx context.Context, stream, subject string) (Stored, error) {
	return c.readOne(ctx, stream, map[string]any{"last_by_subj": subject})
}

// At reads the message of a sequence, from the stream's leader. ErrNotFound where it is gone.
func (c *Client) At(ctx context.Context, stream string, sequence uint64) (Stored, error) {
	return c.readOne(ctx, stream, map[string]any{"seq": sequence})
}

func (c *Client) readOne(ctx context.Context, stream string, request map[string]any) (Stored, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Stored{}, err
	}
	answer, err := c.ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return Stored{}, err
	}
	var a struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Headers  []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return Stored{}, c.refused(fmt.Errorf("reading the answer of stream %s: %w", stream, err))
	}
	if a.Error != nil {
		return Stored{}, c.refused(classify(a.Error))
	}
	if a.Message == nil {
		return Stored{}, c.refused(fmt.Errorf("%w: empty answer of stream %s", ErrUnavailable, stream))
	}
	m := a.Message
	h, err := nats.DecodeHeadersMsg(m.Headers)
	if len(m.Headers) > 0 && err != nil {
		return Stored{}, fmt.Errorf("reading the headers of message %d of stream %s: %w", m.Sequence, stream, err)
	}
	return Stored{m.Subject, m.Sequence, m.Time, messages.Message{Headers: messages.Headers(h), Body: m.Data}}, nil
}
