package store

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// nextVersions lists the few versions after t, of programs that may run beside this one.
func nextVersions(t messages.Type) []messages.Type {
	return []messages.Type{t.After(1), t.After(2), t.After(3)}
}

// NewerWork is what waits for a program of a newer version than this one.
type NewerWork struct {
	Type    messages.Type `json:"type"`
	Waiting uint64        `json:"waiting"` // messages
	Role    string        `json:"role"`    // whose work they are
}

// Newer lists what waits in versions that this program does not read: build requests for
// builders, events for controllers. Nothing here touches them.
func Newer(ctx context.Context, c *queue.Client) ([]NewerWork, error) {
	var out []NewerWork
	look := func(stream, name, role string, of messages.Type) error {
		for _, t := range nextVersions(of) {
			waiting, err := c.Unsettled(ctx, queue.Shared{Stream: stream, Name: name, Type: t})
			if err != nil {
				return fmt.Errorf("looking for %s: %w", t, err)
			}
			if waiting > 0 {
				out = append(out, NewerWork{t, waiting, role})
			}
		}
		return nil
	}
	if err := look(c.Space().RequestsStream(), Builders, "builder", messages.TypeBuildRequested); err != nil {
		return nil, err
	}
	for _, t := range ControllerEvents {
		if err := look(c.Space().EventsStream(), Controllers, "controller", t); err != nil {
			return nil, err
		}
	}
	return out, nil
}
