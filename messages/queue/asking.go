package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
)

const (
	// askMost is how many messages one question is answered with, and askBytes about how many bytes of them.
	askMost  = 256
	askBytes = 4 << 20
	// askEvery is how often a reader who has all asks whether there is more.
	askEvery = 250 * time.Millisecond
	// askLook is how often it does so until it looks whether the stream is still the one that it reads: one that was made
	// anew or restored has nothing at the place where it is.
	askLook = 10
)

// asking is run for a credential that may make no consumers, which say where the server writes. It asks
// for messages, the next ones each time. Of a record that has several values it gives all that are kept.
func (c *Client) asking(ctx context.Context, s session, each func(Stored) error, caughtUp func() error) error {
	again := c.Reconnected()
	next, err := c.begins(ctx, s)
	if err != nil {
		return err
	}
	var made time.Time
	for asked := 1; ; asked++ {
		found, more, err := c.askFor(ctx, s.stream, s.filters, next)
		if err != nil {
			return err
		}
		for _, m := range found {
			next = m.Sequence + 1
			if err := each(m); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		if caughtUp != nil {
			if err := caughtUp(); err != nil {
				return err
			}
			caughtUp = nil
		}
		if asked%askLook == 0 {
			info, err := c.Info(ctx, s.stream)
			if err != nil {
				return err
			}
			if next > info.Last+1 || !made.IsZero() && !info.Made.Equal(made) {
				return errGap
			}
			made = info.Made
		}
		wait := time.NewTimer(askEvery)
		select {
		case <-wait.C:
		case <-again:
			wait.Stop()
			return errGap
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
	}
}

// begins is the sequence at which a session begins.
func (c *Client) begins(ctx context.Context, s session) (uint64, error) {
	if s.from > 0 || !s.newOnly {
		return max(s.from, 1), nil
	}
	info, err := c.Info(ctx, s.stream)
	return info.Last + 1, err
}

// Next reads the messages of a stream that a filter matches, from a sequence on: at most so many, of about so many bytes
// together; more tells whether others may follow. It takes no consumer. Messages that are gone are passed over.
func (c *Client) Next(ctx context.Context, stream, filter string, from uint64, most, bytes int) (found []Stored, more bool, err error) {
	return c.askBatch(ctx, stream, filter, from, most, bytes)
}

// askFor reads messages that a filter of s matches, from a sequence on, and tells whether more may follow.
func (c *Client) askFor(ctx context.Context, stream string, filters []string, from uint64) (found []Stored, more bool, err error) {
	filter := ">"
	if len(filters) == 1 {
		filter = filters[0]
	}
	all, more, err := c.askBatch(ctx, stream, filter, from, askMost, askBytes)
	if len(filters) < 2 || err != nil {
		return all, more, err
	}
	for _, m := range all {
		for _, f := range filters {
			if matches(f, m.Subject) {
				found = append(found, m)
				break
			}
		}
	}
	if len(found) == 0 && len(all) > 0 {
		return c.askFor(ctx, stream, filters, all[len(all)-1].Sequence+1)
	}
	return found, more, nil
}

// matches tells whether a subject is one of a filter's.
func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, w := range want {
		if w == ">" {
			return len(have) > i
		}
		if i >= len(have) || w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

// askBatch asks once. A server that knows no batches gives one message.
func (c *Client) askBatch(ctx context.Context, stream, filter string, from uint64, most, bytes int) (found []Stored, more bool, err error) {
	began := time.Now()
	defer func() { c.observe(began, err) }()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.deafness(); err != nil {
		return nil, false, err
	}
	body, err := json.Marshal(map[string]any{"seq": from, "next_by_subj": filter, "batch": most, "max_bytes": bytes})
	if err != nil {
		return nil, false, err
	}
	subject := "$JS.API.DIRECT.GET." + stream
	ctx, done := c.denied.guard(ctx, subject)
	defer done()
	answers, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err == nil {
		defer func() { _ = answers.Unsubscribe() }()
		err = c.nc.PublishRequest(subject, answers.Subject, body)
	}
	if err != nil {
		return nil, false, classify(err)
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, false, c.failure(ctx, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "404":
			return found, false, nil
		case "204": // the end of a batch
			return found, m.Header.Get("Nats-Num-Pending") != "0", nil
		case "503":
			return nil, false, classify(nats.ErrNoResponders)
		default:
			return nil, false, fmt.Errorf("%w: status %s %s", ErrUnavailable, status, m.Header.Get("Description"))
		}
		one, err := storedBy(stream, m)
		if err != nil {
			return nil, false, err
		}
		if found = append(found, one); m.Header.Get("Nats-Num-Pending") == "" {
			return found, true, nil
		}
	}
}

// answerHeaders are what a server adds to a message that it is asked for.
var answerHeaders = []string{
	"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence", "Nats-Num-Pending", "Nats-UpTo-Sequence",
}

// storedBy is the message of a stream that an answer has.
func storedBy(stream string, answer *nats.Msg) (Stored, error) {
	failed := func(header string, err error) error {
		return fmt.Errorf("reading the answer of stream %s: header %s: %w", stream, header, err)
	}
	var sequence uint64
	if _, err := fmt.Sscan(answer.Header.Get("Nats-Sequence"), &sequence); err != nil {
		return Stored{}, failed("Nats-Sequence", err)
	}
	at, err := time.Parse(time.RFC3339Nano, answer.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return Stored{}, failed("Nats-Time-Stamp", err)
	}
	subject := answer.Header.Get("Nats-Subject")
	if subject == "" {
		return Stored{}, failed("Nats-Subject", errors.New("it is missing"))
	}
	h := messages.Headers{}
	for name, values := range answer.Header {
		h[name] = values
	}
	for _, name := range answerHeaders {
		delete(h, name)
	}
	return Stored{subject, sequence, at, messages.Message{Headers: h, Body: answer.Data}}, nil
}
