package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Clock reads the NATS server's clock, by which everything stored is stamped. It is off by
// at most the time that the call takes. ErrUndeclared where no streams are declared.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	stream := c.space.EventsStream()
	m, err := c.ask(ctx, "$JS.API.STREAM.INFO."+stream, nil)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the clock of NATS: %w", err)
	}
	var info struct {
		Now   time.Time `json:"ts"`
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &info); {
	case err != nil:
		return time.Time{}, fmt.Errorf("reading the clock of NATS: %w", err)
	case info.Error != nil:
		return time.Time{}, fmt.Errorf("reading the clock of NATS from stream %s: %w (%s)", stream, ErrUndeclared, info.Error.Description)
	case info.Now.IsZero():
		return time.Time{}, fmt.Errorf("reading the clock of NATS: it does not tell: nats-server 2.10 and later do")
	}
	return info.Now, nil
}
