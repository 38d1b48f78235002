package queue

import (
	"context"
	"errors"
	"strconv"

	"github.com/fenceline/fenceline/messages"
)

// BatchMost is how many messages a batch may have: far below nats-server's limit of 1,000.
const BatchMost = 256

// The headers of an atomic batch, as ADR-50 of NATS has them.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// Outgoing is a message on its way to a subject.
type Outgoing struct {
	Subject string
	Message messages.Message
	Headers []Header
}

// StoreBatch stores all messages or none, and returns the last one's sequence; the others' are
// those before it. The stream must take batches (see TakesBatches).
func (c *Client) StoreBatch(ctx context.Context, batch []Outgoing) (uint64, error) {
	id := messages.NewID()
	for n, m := range batch {
		extra := append([]Header{{batchID, id}, {batchSequence, strconv.Itoa(n + 1)}}, m.Headers...)
		if n == len(batch)-1 {
			return c.Store(ctx, m.Subject, m.Message, append(extra, Header{batchCommit, "1"})...)
		}
		if err := c.nc.PublishMsg(natsMessage(m.Subject, m.Message, extra)); err != nil {
			return 0, c.refused(classify(err))
		}
	}
	return 0, errors.New("storing an empty batch")
}

// TakesBatches tells whether a stream takes batches. A server that doesn't know them would store
// each message of one by itself, so it is asked for before.
func (c *Client) TakesBatches(ctx context.Context, stream string) (bool, error) {
	s, err := c.stream(ctx, stream)
	if err != nil {
		return false, c.failure(ctx, err)
	}
	return s.CachedInfo().Config.AllowAtomicPublish, nil
}
