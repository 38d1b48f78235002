package builds

import (
	"context"
	"io"

	"github.com/fenceline/fenceline/messages"
)

// PutContext stores a build context under a name of messages.NewID's form. It is gone when the age
// of the store has passed.
func (q *Queue) PutContext(ctx context.Context, name string, r io.Reader) error {
	if err := messages.CheckID("context", name); err != nil {
		return err
	}
	return q.c.PutObject(ctx, q.c.Space().ContextsStore(), name, r)
}

// GetContext opens a stored build context. The last read fails where its content is not what was
// stored. queue.ErrNotFound where there is none of that name, or no longer.
func (q *Queue) GetContext(ctx context.Context, name string) (io.ReadCloser, error) {
	return q.c.GetObject(ctx, q.c.Space().ContextsStore(), name)
}
