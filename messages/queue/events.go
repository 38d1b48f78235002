package queue

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/messages"
	"golang.org/x/sync/errgroup"
)

// ConsumeEvents gives the events of some types, in all versions that this program reads, to
// handle, each until it returns nil, to one of those who consume under the same name; events of
// different types at one time. A permanent error (see Permanent)
// makes the event a dead letter, any other is tried again after a growing delay; so does what
// can't be decoded. An event may come twice. It returns ctx's cause, or ErrForbidden.
func (c *Client) ConsumeEvents(ctx context.Context, name string, types []messages.Type, handle func(context.Context, Received) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, t := range types {
		for _, v := range t.Versions() {
			all.Go(func() error {
				s := Shared{c.space.EventStream(v), name, v, eventsAckWait}
				return c.Consume(ctx, s, nil, func(d *Delivery) {
					if err := d.event(ctx, handle); err != nil && !errors.Is(err, ErrLeaseLost) {
						c.log.Error().Err(err).Str("subject", d.Subject).Msg("event not settled")
					}
				})
			})
		}
	}
	return all.Wait()
}

func (d *Delivery) event(ctx context.Context, handle func(context.Context, Received) error) error {
	r, err := d.c.Decode(d.Stored)
	if err != nil {
		return d.Bury(err.Error())
	}
	bounded, cancel := context.WithCancelCause(d.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	err = handle(bounded, r)
	switch {
	case err == nil:
		return d.Done()
	case ctx.Err() != nil:
		return d.Return(0)
	case IsPermanent(err):
		return d.Bury(err.Error())
	}
	d.c.log.Warn().Err(err).Str("subject", r.Subject).Int("deliveries", d.Deliveries).Msg("event will be given again")
	return d.Return(Backoff(eventsBackoff, d.Deliveries))
}
