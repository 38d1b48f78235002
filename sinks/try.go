package sinks

import (
	"context"

	"github.com/fenceline/fenceline/sinks/form"
)

// Try sends a sink an event, once, and returns the status that it answered with. The error is why it has not taken the event.
func Try(ctx context.Context, s *form.Sink, e *form.Event) (status string, err error) {
	c := newClient()
	defer c.close()
	return deliver(ctx, s, e, c, false, answerTime)
}

// Check tells whether all files of a sink can be used.
func Check(ctx context.Context, s *form.Sink) error {
	for _, e := range form.Samples()[:1] {
		if _, _, err := request(ctx, s, e); err != nil {
			return err
		}
	}
	c := newClient()
	defer c.close()
	_, err := c.get(s.CAFile, false)
	return err
}
