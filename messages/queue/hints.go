package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
)

// hintsPending bounds the hints that wait for a slow reader. What comes when it is full is lost,
// as any hint may be: whoever acts on hints reads the state from time to time too.
const hintsPending = 256

// unsubscribeTime bounds the wait for the server to have heard that nobody listens any more.
const unsubscribeTime = time.Second

// Hint sends p to whoever listens now. Nobody stores it.
func (c *Client) Hint(p messages.Payload) error {
	subject := c.space.Subject(p)
	m, err := messages.Encode(c.Envelope(messages.About(p), ""), p)
	if err != nil {
		return err
	}
	if err := c.nc.PublishMsg(natsMessage(subject, m, nil)); err != nil {
		return fmt.Errorf("announcing to %s: %w", subject, c.refused(classify(err)))
	}
	return nil
}

// HearHints gives hint every hint that comes on a subject, until ctx ends, and returns its cause.
// It calls begin first when it hears, and again after each interruption, in which hints may have
// been missed. It tries again where either returns an error.
func (c *Client) HearHints(ctx context.Context, subject string, begin func() error, hint func(subject string, m messages.Message) error) error {
	return c.retry(ctx, "listening to "+subject, func() error {
		again := c.Reconnected()
		hints := make(chan *nats.Msg, hintsPending)
		sub, err := c.nc.ChanSubscribe(subject, hints)
		if err != nil {
			return c.refused(classify(err))
		}
		defer func() { _ = sub.Unsubscribe() }()
		if err := begin(); err != nil {
			return err
		}
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-again:
				return errGap
			case m := <-hints:
				if err := hint(m.Subject, messages.Message{Headers: messages.Headers(m.Header), Body: m.Data}); err != nil {
					return err
				}
			}
		}
	})
}

// HearQuestions gives fn what comes on a subject, until ctx ends, and returns its cause. What had come by then
// is given too: whoever asked is told something. It listens again after each interruption.
func (c *Client) HearQuestions(ctx context.Context, subject string, fn func(subject string, m messages.Message)) error {
	give := func(m *nats.Msg) {
		fn(m.Subject, messages.Message{Headers: messages.Headers(m.Header), Body: m.Data})
	}
	return c.retry(ctx, "listening to "+subject, func() error {
		questions := make(chan *nats.Msg, hintsPending)
		sub, err := c.nc.ChanSubscribe(subject, questions)
		if err != nil {
			return c.refused(classify(err))
		}
		for { // the subscription comes back with the connection
			select {
			case m := <-questions:
				give(m)
			case <-ctx.Done():
				_ = sub.Drain()                        // one that is unsubscribed drops what the server has sent already
				_ = c.nc.FlushTimeout(unsubscribeTime) // that is here then
				for len(questions) > 0 {
					give(<-questions)
				}
				return context.Cause(ctx)
			}
		}
	})
}
