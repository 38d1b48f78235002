package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// publishTries bounds how often a publish whose answer was lost is sent again.
const publishTries = 3

// Envelope returns a new envelope: random ID, this client's source, the time now.
func (c *Client) Envelope(subject, traceparent string) messages.Envelope {
	return messages.Envelope{
		ID: messages.NewID() + messages.NewID(), Source: c.source, Subject: subject,
		Time: time.Now().UTC(), Traceparent: traceparent,
	}
}

// Publish sends p and waits until it is stored. Sent again after a lost answer it is still
// stored once. Errors are ErrFull, ErrUnavailable, ErrForbidden, or p's own.
func (c *Client) Publish(ctx context.Context, traceparent string, p messages.Payload) error {
	subject := c.space.Subject(p)
	e := c.Envelope(messages.About(p), traceparent)
	m, err := messages.Encode(e, p)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err = c.Store(ctx, subject, m, MessageID(e.ID))
		if err == nil || !errors.Is(err, ErrUnavailable) || try == publishTries || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", subject, err)
	}
	return nil
}

// PublishOnce sends m to a subject that holds one message for ever. It returns false where
// the subject has one already, m itself sent earlier included.
func (c *Client) PublishOnce(ctx context.Context, subject string, m messages.Message) (stored bool, err error) {
	for try := 1; ; try++ {
		_, err = c.Store(ctx, subject, m, Expect(0))
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, ErrMoved):
			return false, nil
		case !errors.Is(err, ErrUnavailable) || try == publishTries || ctx.Err() != nil:
			return false, fmt.Errorf("publishing to %s, once: %w", subject, err)
		}
	}
}

// Header is a header of JetStream's beside those of the message.
type Header struct{ name, value string }

// Expect lets a message pass only if the last one on its subject has this sequence; 0 means that
// there is none. Else it is refused with ErrMoved.
func Expect(sequence uint64) Header {
	return Header{jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10)}
}

// ExpectOn makes Expect look at another subject, which may have wildcards, in place of the
// message's own. nats-server before 2.11 passes it over.
func ExpectOn(subject string) Header {
	return Header{jetstream.ExpectedLastSubjSeqSubjHeader, subject}
}

// MessageID has a message with the same ID, that is stored already, answered with its sequence,
// as long as the stream knows its IDs.
func MessageID(id string) Header { return Header{jetstream.MsgIDHeader, id} }

// Store publishes m once and returns the sequence under which it is stored.
func (c *Client) Store(ctx context.Context, subject string, m messages.Message, extra ...Header) (uint64, error) {
	return c.storeMsg(ctx, natsMessage(subject, m, extra))
}

func natsMessage(subject string, m messages.Message, extra []Header) *nats.Msg {
	h := make(nats.Header, len(m.Headers)+len(extra))
	maps.Copy(h, m.Headers)
	for _, x := range extra {
		h[x.name] = []string{x.value}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: m.Body}
}

// AsSent is a message that was stored without what the stream was told about it: that it is the
// only one, and which ID it has.
func AsSent(m messages.Message) messages.Message {
	h := maps.Clone(m.Headers)
	maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	return messages.Message{Headers: h, Body: m.Body}
}

// storeMsg publishes and waits for the stream's acknowledgement.
func (c *Client) storeMsg(ctx context.Context, m *nats.Msg) (uint64, error) {
	answer, err := c.askMsg(ctx, m)
	if err != nil {
		return 0, err
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
		Batch    string              `json:"batch"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, c.refused(fmt.Errorf("reading the stream's answer: %w", err))
	}
	if ack.Error != nil {
		return 0, c.refused(classify(ack.Error))
	}
	if ack.Stream == "" {
		return 0, c.refused(errors.New("the answer came from no stream: another program listens on the subject"))
	}
	if ack.Batch != m.Header.Get(batchID) {
		return 0, c.refused(errors.New("stored by itself, not with its batch: the server doesn't know batches"))
	}
	return ack.Sequence, nil
}
