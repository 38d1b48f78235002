package confdis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/fenceline/fenceline/fence"
)

// write sets the image by WATCH, MULTI and EXEC: where anybody writes the document in between, Redis does
// nothing, and it is read again. That is no conflict unless it names another image then.
func write(ctx context.Context, c *redis.Client, value string, expected fence.Revision) (fence.Setting, error) {
	for {
		set, err := try(ctx, c, value, expected)
		switch {
		case errors.Is(err, redis.TxFailedErr):
			continue
		case err == nil, errors.Is(err, fence.ErrConflict), refused(err):
			return set, err
		}
		// The answer is lost, or was none of Redis: what stands there tells.
		if d, unread := document(ctx, c); unread == nil && d.Setting() == set && set != (fence.Setting{}) {
			return set, nil
		}
		return fence.Setting{}, err
	}
}

// try is one transaction. Beside an error it returns what would be set.
func try(ctx context.Context, c *redis.Client, value string, expected fence.Revision) (set fence.Setting, err error) {
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		d, err := document(ctx, tx)
		if err != nil {
			return err
		}
		if d.Setting().Revision != expected {
			return fmt.Errorf("%w: it is %q", fence.ErrConflict, d.Setting().Value)
		}
		set = d.After(value)
		sent, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, name, d.Put(value), 0)
			p.Publish(ctx, channel, message)
			return nil
		})
		return first(sent, err)
	}, name)
	return set, err
}

// first is why a transaction was dropped: EXEC itself says only that one of its commands was refused.
func first(sent []redis.Cmder, err error) error {
	for _, cmd := range sent {
		if cause := cmd.Err(); err != nil && cause != nil && !errors.Is(cause, redis.TxFailedErr) {
			return cause
		}
	}
	return err
}

// rehearse begins the transaction of a write and drops it. Redis refuses while commands are queued what it
// would refuse later: on a replica, without memory, to a user who may not.
func rehearse(ctx context.Context, c *redis.Client) error {
	conn := c.Conn()
	defer func() { _ = conn.Close() }()
	for _, words := range [][]any{{"multi"}, {"set", name, ""}, {"publish", channel, message}} {
		if err := conn.Do(ctx, words...).Err(); err != nil {
			_ = conn.Do(ctx, "discard").Err() // where there was a beginning
			return err
		}
	}
	return conn.Do(ctx, "discard").Err()
}
