package queue

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"
)

// PutObject stores what r has under a name in an object store. It is gone when the store's age
// has passed.
func (c *Client) PutObject(ctx context.Context, store, name string, r io.Reader) error {
	ctx, done := c.denied.guard(ctx, "$O."+store+".*")
	defer done()
	if err := c.writeObject(ctx, store, name, r); err != nil {
		return fmt.Errorf("storing %s in %s: %w", name, store, err)
	}
	return nil
}

// GetObject opens a stored object. The last read fails where its content is not what was stored.
// ErrNotFound where there is none of that name, or no longer.
func (c *Client) GetObject(ctx context.Context, store, name string) (io.ReadCloser, error) {
	s, err := c.objects(ctx, store)
	if err == nil {
		var info *jetstream.ObjectInfo
		info, err = counted(ctx, c, func(ctx context.Context) (*jetstream.ObjectInfo, error) { return s.GetInfo(ctx, name) })
		if err == nil {
			return c.readObject(ctx, store, info), nil
		}
		err = c.failure(ctx, err)
	}
	return nil, fmt.Errorf("reading %s of %s: %w", name, store, err)
}

// objects opens a store, or says why it can't be.
func (c *Client) objects(ctx context.Context, store string) (jetstream.ObjectStore, error) {
	ctx, done := c.denied.guard(ctx, "$JS.API.STREAM.INFO."+objectStream(store))
	defer done()
	s, err := counted(ctx, c, func(ctx context.Context) (jetstream.ObjectStore, error) { return c.js.ObjectStore(ctx, store) })
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return s, nil
}
