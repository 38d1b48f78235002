package redistest

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Watch reads a component's document anew at each message that its writers publish, as Stackato's clients
// do. What it read comes through the channel, which is closed when ctx ends or the server goes.
func (s *Server) Watch(ctx context.Context, component string) (<-chan string, error) {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Socket})
	sub := c.Subscribe(ctx, component+":_changes")
	if _, err := sub.Receive(ctx); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("subscribing to the changes of %s: %w", component, err)
	}
	out := make(chan string)
	go func() {
		defer close(out)
		defer func() { _, _ = sub.Close(), c.Close() }()
		for {
			if _, err := sub.ReceiveMessage(ctx); err != nil {
				return
			}
			text, err := c.Get(ctx, component).Result()
			if err != nil {
				return
			}
			select {
			case out <- text:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}
