package queue

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// PutContext stores a build context under a name of messages.NewID's form. It is gone when
// the layout's ContextAge has passed.
func (c *Client) PutContext(ctx context.Context, name string, r io.Reader) error {
	if err := messages.CheckID("context", name); err != nil {
		return err
	}
	ctx, done := c.denied.guard(ctx, "$O."+c.space.ContextsStore()+".*")
	defer done()
	s, err := c.contexts(ctx)
	if err == nil {
		if _, err = s.Put(ctx, jetstream.ObjectMeta{Name: name}, r); err != nil {
			err = c.failure(ctx, err)
		}
	}
	if err != nil {
		return fmt.Errorf("storing build context %s: %w", name, storeError(err))
	}
	return nil
}

// GetContext opens a stored build context. The last read fails where its content is not
// what was stored. ErrNotFound where there is none of that name, or no longer.
func (c *Client) GetContext(ctx context.Context, name string) (io.ReadCloser, error) {
	s, err := c.contexts(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading build context %s: %w", name, storeError(err))
	}
	r, err := s.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading build context %s: %w", name, storeError(err))
	}
	return r, nil
}

// DeleteContext removes a stored build context. That it is not there is no error.
func (c *Client) DeleteContext(ctx context.Context, name string) error {
	s, err := c.contexts(ctx)
	if err == nil {
		err = s.Delete(ctx, name)
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("deleting build context %s: %w", name, storeError(err))
	}
	return nil
}

// contexts opens the store, or says why it can't be.
func (c *Client) contexts(ctx context.Context) (jetstream.ObjectStore, error) {
	ctx, done := c.denied.guard(ctx, "$JS.API.STREAM.*")
	defer done()
	s, err := c.js.ObjectStore(ctx, c.space.ContextsStore())
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return s, nil
}

func storeError(err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return join(ErrUndeclared, err)
	}
	return classify(err)
}
