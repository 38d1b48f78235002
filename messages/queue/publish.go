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
	e := c.Envelope(about(p, subject), traceparent)
	m, err := messages.Encode(e, p)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err = c.store(ctx, subject, m, header{jetstream.MsgIDHeader, e.ID})
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
		_, err = c.store(ctx, subject, m, expect(0))
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

// about is the CloudEvents subject of a message: the build, rollout, node or fleet that it is
// about, which is the last token of where it is published.
func about(p messages.Payload, subject string) string {
	if r, ok := p.(*messages.BuildRequested); ok {
		return r.Build
	}
	return subject[strings.LastIndexByte(subject, '.')+1:]
}

// header is a header of JetStream's beside those of the message.
type header struct{ name, value string }

// expect lets a publish pass only if the last message on its subject has this sequence; 0
// means that there is none.
func expect(sequence uint64) header {
	return header{jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10)}
}

// expectRequest lets a build request pass only if the last one of its pipeline, of whichever
// version, has this sequence: producers of different versions may run side by side.
// nats-server before 2.11 looks at the last one of the same version alone.
func (c *Client) expectRequest(pipeline string, sequence uint64) []header {
	return []header{expect(sequence), {jetstream.ExpectedLastSubjSeqSubjHeader, c.space.AnyRequest(pipeline)}}
}

// store publishes m and returns the sequence under which it is stored.
func (c *Client) store(ctx context.Context, subject string, m messages.Message, extra ...header) (uint64, error) {
	return c.storeMsg(ctx, natsMessage(subject, m, extra))
}

func natsMessage(subject string, m messages.Message, extra []header) *nats.Msg {
	h := nats.Header(maps.Clone(m.Headers))
	if h == nil {
		h = nats.Header{}
	}
	for _, x := range extra {
		h[x.name] = []string{x.value}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: m.Body}
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
		return 0, fmt.Errorf("reading the stream's answer: %w", err)
	}
	if ack.Error != nil {
		return 0, classify(ack.Error)
	}
	if ack.Stream == "" {
		return 0, errors.New("the answer came from no stream: another program listens on the subject")
	}
	if ack.Batch != m.Header.Get(batchID) {
		return 0, errors.New("stored by itself, not with its batch: the server doesn't know batches")
	}
	return ack.Sequence, nil
}

// stored is a message as a stream keeps it.
type stored struct {
	subject  string
	sequence uint64
	time     time.Time
	message  messages.Message
}

// last reads the last message on a subject from the stream's leader, which is never stale.
// ErrNotFound tells that there is none.
func (c *Client) last(ctx context.Context, stream, subject string) (stored, error) {
	return c.read(ctx, stream, map[string]any{"last_by_subj": subject})
}

func (c *Client) read(ctx context.Context, stream string, request map[string]any) (stored, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return stored{}, err
	}
	answer, err := c.ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return stored{}, err
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
		return stored{}, fmt.Errorf("reading the answer of stream %s: %w", stream, err)
	}
	if a.Error != nil {
		return stored{}, classify(a.Error)
	}
	if a.Message == nil {
		return stored{}, fmt.Errorf("%w: empty answer of stream %s", ErrUnavailable, stream)
	}
	m := a.Message
	h, err := nats.DecodeHeadersMsg(m.Headers)
	if len(m.Headers) > 0 && err != nil {
		return stored{}, fmt.Errorf("reading the headers of message %d of stream %s: %w", m.Sequence, stream, err)
	}
	return stored{m.Subject, m.Sequence, m.Time, messages.Message{Headers: messages.Headers(h), Body: m.Data}}, nil
}
