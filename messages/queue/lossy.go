package queue

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lossyPending bounds the lossy messages that wait for their acknowledgement.
const lossyPending = 2048

// The longest that one lossy message waits for room among those that are not stored yet: the
// first time, for a burst, and as long as there was none.
const (
	lossyWait        = 200 * time.Millisecond
	lossyWaitStalled = time.Microsecond
)

// lossy sends messages without waiting until each is stored.
type lossy struct {
	js      jetstream.JetStream // its own, as it bounds what is pending
	lost    atomic.Int64        // messages that were lost since the last one that was sent
	stalled atomic.Bool         // the last message found no room
}

func (l *lossy) open(nc *nats.Conn, lost func(error)) error {
	var err error
	l.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(lossyPending), jetstream.WithPublishAsyncTimeout(answerTime),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
			l.lost.Add(1) // sent, but not known to be stored
			lost(err)
		}))
	return err
}

// PublishLossy sends a message without waiting until it is stored. Where the stream can't keep up,
// or the connection is down or breaks, it is lost. Make gets the number of messages that were lost
// since the last one that passed, for the next to tell. It never waits longer than a moment.
func (c *Client) PublishLossy(make func(lost int64) messages.Payload) error {
	l := &c.lossy
	lost := l.lost.Swap(0)
	p := make(lost)
	subject := c.space.Subject(p)
	m, err := messages.Encode(c.Envelope(messages.About(p), ""), p)
	if err != nil {
		l.lost.Add(lost)
		return err
	}
	wait := lossyWait
	if l.stalled.Load() {
		wait = lossyWaitStalled
	}
	_, err = l.js.PublishMsgAsync(natsMessage(subject, m, nil), jetstream.WithRetryAttempts(0), jetstream.WithStallWait(wait))
	l.stalled.Store(errors.Is(err, jetstream.ErrTooManyStalledMsgs))
	if err != nil {
		l.lost.Add(lost + 1)
		return fmt.Errorf("publishing to %s: %w", subject, c.refused(classify(err)))
	}
	return nil
}
