package builds

import (
	"context"
	"errors"
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
	refs    refs

	contextRetry, contextLeft time.Duration // see those constants
}

// New is the way by a client.
func New(c *queue.Client) *Queue {
	return &Queue{c: c, records: store.Builds(c), contextRetry: contextRetry, contextLeft: contextLeft}
}

// Ready tells what is wrong with the queue, or nil.
func (q *Queue) Ready(ctx context.Context) error { return q.c.Ready(ctx) }
