package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Causes with which the context of an attempt ends, beside queue.ErrLeaseLost.
var (
	// ErrCancelled tells that a person cancelled the build.
	ErrCancelled = errors.New("cancelled by a person")
	// ErrShutdown tells that the worker stops and the build's grace is used up. The build is handed
	// back.
	ErrShutdown = errors.New("the worker is stopping")
)

// Queue is the way to an installation's builds. It is safe for concurrent use.
type Queue struct {
	c       *queue.Client
	records *queue.Records[messages.BuildRecord]
	intake  intake
	sweeps  sweeps

	contextRetry, contextLeft time.Duration // see those constants
}

// New is the way by a client.
func New(c *queue.Client) *Queue {
	return &Queue{c: c, records: store.Builds(c), contextRetry: contextRetry, contextLeft: contextLeft}
}

// current reads the record of a build from the leader. messages.ErrMalformed where it can't be read, or is
// another build's: its key says whose it is.
func (q *Queue) current(ctx context.Context, build string) (queue.Entry[messages.BuildRecord], error) {
	e, err := q.records.Current(ctx, build)
	if err == nil {
		err = own(e)
	}
	return e, err
}

// own tells whether a record is of the build whose key it has.
func own(e queue.Entry[messages.BuildRecord]) error {
	if e.Value.Build != e.Key {
		return fmt.Errorf("%w: it says that it is of build %q", messages.ErrMalformed, messages.Shorten(e.Value.Build, 80))
	}
	return nil
}

// Ready tells what is wrong with the queue, or nil.
func (q *Queue) Ready(ctx context.Context) error { return q.c.Ready(ctx) }
