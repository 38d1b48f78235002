package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Clock reads the NATS server's clock, by which everything stored is stamped. It is off by
// at most the time that the call takes. ErrUndeclared where no streams are declared, ErrForbidden
// for a node, which may ask for no stream.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	stream := c.space.EventsStream()
	if c.noEvents.Load() { // a builder's stream is another
		stream = "KV_" + c.space.BuildsBucket()
	}
	info, err := c.about(ctx, stream)
	if errors.Is(err, ErrForbidden) && stream == c.space.EventsStream() {
		c.noEvents.Store(true)
		return c.Clock(ctx)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the clock of NATS: %w", err)
	}
	return info.Now, nil
}

// streamInfo is what the server says of a stream.
type streamInfo struct {
	Now    time.Time `json:"ts"`
	Config struct {
		MaxAge time.Duration `json:"max_age"`
	} `json:"config"`
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
}

func (c *Client) about(ctx context.Context, stream string) (streamInfo, error) {
	var info streamInfo
	m, err := c.ask(ctx, "$JS.API.STREAM.INFO."+stream, nil)
	if err != nil {
		return info, err
	}
	switch err := json.Unmarshal(m.Data, &info); {
	case err != nil:
		return info, fmt.Errorf("reading the answer of stream %s: %w", stream, err)
	case info.Error != nil:
		return info, fmt.Errorf("stream %s: %w (%s)", stream, ErrUndeclared, info.Error.Description)
	case info.Now.IsZero():
		return info, errors.New("it does not tell its time: nats-server 2.10 and later do")
	}
	return info, nil
}
