package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	// eventsAckWait is how long an event stays with a consumer that went silent.
	eventsAckWait = 30 * time.Second
	// ackPending is how many messages may be out or waiting for another try at one time.
	ackPending = 10_000
	// backoffMost bounds the growing delays before another try.
	backoffMost = time.Minute
	// eventsBackoff is the first delay before an event is given again.
	eventsBackoff = 250 * time.Millisecond
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
				return c.consume(ctx, c.space.EventsStream(), c.consuming(name, v, eventsAckWait), nil, func(d *delivery) {
					if err := d.event(ctx, handle); err != nil && !errors.Is(err, ErrLeaseLost) {
						c.log.Error().Err(err).Str("subject", d.message.subject).Msg("event not settled")
					}
				})
			})
		}
	}
	return all.Wait()
}

// consuming is the durable consumer of those who share a name, for messages of one type. Each
// type has its own: of two versions of this program that run side by side the one would else set
// back which messages the other one's consumer is for, and what came meanwhile would be lost.
func (c *Client) consuming(name string, t messages.Type, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: durable(name, t), FilterSubject: c.space.Filter(t), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxDeliver: -1, MaxAckPending: ackPending,
	}
}

func durable(name string, t messages.Type) string { return name + "-" + t.Label() }

func (d *delivery) event(ctx context.Context, handle func(context.Context, Received) error) error {
	r, err := d.c.received(d.message)
	if err != nil {
		return d.bury(err.Error())
	}
	bounded, cancel := context.WithCancelCause(d.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer stop()
	err = handle(bounded, r)
	switch {
	case err == nil:
		return d.done()
	case ctx.Err() != nil:
		return d.back(0)
	case IsPermanent(err):
		return d.bury(err.Error())
	}
	d.c.log.Warn().Err(err).Str("subject", r.Subject).Int("deliveries", d.deliveries).Msg("event will be given again")
	return d.back(backoff(eventsBackoff, d.deliveries))
}

// backoff is the delay before the try after the given one, counted from 1: doubling, bounded,
// and spread by half so that many don't come at once.
func backoff(first time.Duration, try int) time.Duration {
	d := backoffMost
	if shift := try - 1; shift < 16 {
		d = min(first<<max(shift, 0), backoffMost)
	}
	return d/2 + rand.N(d/2+1)
}
