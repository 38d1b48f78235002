package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// Controllers names the consumers that all controllers of an installation share.
const Controllers = "controller"

// ControllerEvents are the events that controllers act on.
var ControllerEvents = []messages.Type{
	messages.TypeImageReady, messages.TypeBasePinned,
	messages.TypeBuildFailed, messages.TypeBuildSuperseded, messages.TypeBuildCancelled,
}

// nextVersions lists the few versions after t, of programs that may run beside this one.
func nextVersions(t messages.Type) []messages.Type {
	return []messages.Type{t.After(1), t.After(2), t.After(3)}
}

// Newer is what waits for a program of a newer version than this one.
type Newer struct {
	Type    messages.Type `json:"type"`
	Waiting uint64        `json:"waiting"` // messages
	Role    string        `json:"role"`    // whose work they are
}

// Newer lists what waits in versions that this program does not read: build requests for
// builders, events for controllers. Nothing here touches them.
func (c *Client) Newer(ctx context.Context) ([]Newer, error) {
	var out []Newer
	look := func(stream, name, role string, of messages.Type) error {
		for _, t := range nextVersions(of) {
			waiting, err := c.waiting(ctx, stream, name, t)
			if err != nil {
				return fmt.Errorf("looking for %s: %w", t, err)
			}
			if waiting > 0 {
				out = append(out, Newer{t, waiting, role})
			}
		}
		return nil
	}
	if err := look(c.space.RequestsStream(), builders, "builder", messages.TypeBuildRequested); err != nil {
		return nil, err
	}
	for _, t := range ControllerEvents {
		if err := look(c.space.EventsStream(), Controllers, "controller", t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// waiting counts the messages of a type that those who consume under a name have not settled.
func (c *Client) waiting(ctx context.Context, stream, name string, t messages.Type) (uint64, error) {
	if _, err := c.last(ctx, stream, c.space.Filter(t)); errors.Is(err, ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	ctx, done := c.denied.guard(ctx, "$JS.API.>")
	defer done()
	consumer, err := c.js.Consumer(ctx, stream, durable(name, t))
	if err == nil {
		info := consumer.CachedInfo()
		return info.NumPending + uint64(max(info.NumAckPending, 0)), nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, c.failure(ctx, err)
	}
	// Nobody of that version was ever there to take them.
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, c.failure(ctx, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(c.space.Filter(t)))
	if err != nil {
		return 0, c.failure(ctx, err)
	}
	var waiting uint64
	for _, n := range info.State.Subjects {
		waiting += n
	}
	return waiting, nil
}
