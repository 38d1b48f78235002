package builds

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// PutContext stores a build context under a name of messages.NewID's form. It is gone when the age
// of the store has passed.
func (q *Queue) PutContext(ctx context.Context, name string, r io.Reader) error {
	if err := messages.CheckID("context", name); err != nil {
		return err
	}
	err := q.c.PutObject(ctx, q.c.Space().ContextsStore(), name, r)
	if errors.Is(err, queue.ErrFull) {
		return fmt.Errorf("%w: build contexts go when their builds have ended: try again then, or have an operator raise max_bytes of the stream %s",
			err, queue.ObjectStore(q.c.Space().ContextsStore()).Name)
	}
	return err
}

// DropContext removes a stored build context. Where there is none it does nothing.
func (q *Queue) DropContext(ctx context.Context, name string) error {
	return q.c.DropObject(ctx, q.c.Space().ContextsStore(), name)
}

// GetContext opens a stored build context. The last read fails where its content is not what was
// stored. queue.ErrNotFound where there is none of that name, or no longer.
func (q *Queue) GetContext(ctx context.Context, name string) (io.ReadCloser, error) {
	return q.c.GetObject(ctx, q.c.Space().ContextsStore(), name)
}
