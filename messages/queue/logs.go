package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// logTextMost bounds the text of one log message, in bytes; more is cut off at its start, as
// the end of an output says what went wrong.
const logTextMost = 64 << 10

// The longest that one log message waits for room among those that are not stored yet: the
// first time, for a burst, and as long as there was none.
const (
	logWait        = 200 * time.Millisecond
	logWaitStalled = time.Microsecond
)

// Log sends a piece of a build's progress without waiting until it is stored. Where the
// stream can't keep up, or the connection is down or breaks, it is lost, and one of the next
// that pass says how many were. A build never waits for its log longer than a moment.
func (c *Client) Log(_ context.Context, l *messages.BuildLog) error {
	kept := *l
	if cut := len(kept.Text) - logTextMost; cut > 0 {
		kept.Text = fmt.Sprintf("[%d bytes cut off]\n%s", cut, strings.ToValidUTF8(kept.Text[cut:], ""))
	}
	dropped := c.dropped.Swap(0)
	if dropped > 0 {
		kept.Text = fmt.Sprintf("[%d log messages were lost]\n%s", dropped, kept.Text)
	}
	m, err := messages.Encode(c.Envelope(l.Build, ""), &kept)
	if err != nil {
		c.dropped.Add(dropped)
		return err
	}
	msg := &nats.Msg{Subject: c.space.Subject(&kept), Header: nats.Header(m.Headers), Data: m.Body}
	wait := logWait
	if c.stalled.Load() {
		wait = logWaitStalled
	}
	_, err = c.logs.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0), jetstream.WithStallWait(wait))
	c.stalled.Store(errors.Is(err, jetstream.ErrTooManyStalledMsgs))
	if err != nil {
		c.dropped.Add(dropped + 1)
		return fmt.Errorf("logging for build %s: %w", l.Build, classify(err))
	}
	return nil
}

// unlogged counts a log message that was sent but is not known to be stored.
func (c *Client) unlogged(jetstream.JetStream, *nats.Msg, error) { c.dropped.Add(1) }
