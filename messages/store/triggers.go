package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages/queue"
)

// CheckTriggers tells whether what producers share of triggers can be read; else what is to be done. An installation, or
// a credential, may be from before there were triggers: webhooks and calls do without.
func CheckTriggers(ctx context.Context, c *queue.Client) error {
	bucket := c.Space().TriggersBucket()
	_, err := queue.NewTexts(c, bucket, ">").Get(ctx, "none")
	switch {
	case err == nil, errors.Is(err, queue.ErrNotFound):
		return nil
	case errors.Is(err, queue.ErrForbidden):
		return fmt.Errorf("the NATS user may not use the bucket %s, so nothing is triggered by schedules, polls and bases: its permissions are from before there were triggers; "+
			"run 'fenceline init --dir' of this version again and have NATS read what it writes (passwords stay): %w", bucket, err)
	case errors.Is(err, queue.ErrUndeclared):
		return fmt.Errorf("there is no bucket %s, so nothing is triggered by schedules, polls and bases: "+
			"start a controller of this version, or run 'fenceline init --nats': %w", bucket, err)
	}
	return fmt.Errorf("looking at the bucket %s: %w", bucket, err)
}
