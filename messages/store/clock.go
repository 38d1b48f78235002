package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
)

// Clock is the NATS server's clock, by which everything stored is stamped.
type Clock struct{ c *queue.Client }

// NewClock reads the clock by a client.
func NewClock(c *queue.Client) *Clock { return &Clock{c} }

// Now reads the clock. It is off by at most the time that the call takes. ErrUndeclared where no
// streams are declared, ErrForbidden for a node, which may ask for no stream.
func (k *Clock) Now(ctx context.Context) (time.Time, error) {
	info, err := k.c.Info(ctx, queue.Bucket(k.c.Space().BuildsBucket(), 1).Name) // which all others may ask for
	if err == nil && info.Now.IsZero() {
		err = errors.New("it does not tell its time: nats-server 2.10 and later do")
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the clock of NATS: %w", err)
	}
	return info.Now, nil
}
