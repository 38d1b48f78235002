package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// fetchTime is how long one fetch waits for a message.
	fetchTime = 30 * time.Second
	// unableDelay is how long a message is kept from one who can't handle it, for others to take it.
	unableDelay = time.Second
	// eventsAckWait is how long an event stays with a consumer that went silent.
	eventsAckWait = 30 * time.Second
	// ackPending is how many messages may be out or waiting for another try at one time.
	ackPending = 10_000
	// backoffMost bounds the growing delays before another try.
	backoffMost = time.Minute
	// eventsBackoff is the first delay before an event is given again.
	eventsBackoff = 250 * time.Millisecond
)

// Shared is a durable consumer of those who share a name, for the messages of one type. Each type
// has a consumer of its own: of two versions of this program that run side by side the one would
// else set back which messages the other one's consumer is for, and what came meanwhile would be
// lost.
type Shared struct {
	Stream  string
	Name    string
	Type    messages.Type
	AckWait time.Duration // how long a message stays with one who went silent
}

func (s Shared) durable() string { return Durable(s.Name, s.Type) }

// Durable is the name on the server of a Shared.
func Durable(name string, t messages.Type) string { return name + "-" + t.Label() }

func (c *Client) config(s Shared) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: s.durable(), FilterSubject: c.space.Filter(s.Type), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: s.AckWait, MaxDeliver: -1, MaxAckPending: ackPending,
	}
}

// Consume fetches messages of a durable consumer one at a time, each when the one before is
// handled and the slot lets, until ctx ends. It makes the consumer anew where it was deleted. The
// AckWait that counts is the consumer's own, read for each message: others who share it may change it.
func (c *Client) Consume(ctx context.Context, from Shared, s *Slot, handle func(*Delivery)) error {
	return c.retry(ctx, "consuming "+from.Stream, func() error {
		consumer, err := c.share(ctx, from)
		if err != nil {
			return err
		}
		for {
			if err := s.await(ctx); err != nil {
				return err
			}
			m, err := c.fetch(ctx, consumer)
			if err == nil && m != nil {
				err = c.consumeOne(ctx, from.Stream, consumer, m, s, handle)
			}
			if err != nil {
				return err
			}
		}
	})
}

// consumeOne handles a fetched message, or leaves it to its redelivery.
func (c *Client) consumeOne(ctx context.Context, stream string, consumer jetstream.Consumer, m jetstream.Msg, s *Slot, handle func(*Delivery)) error {
	free := s.enter()
	if free {
		defer s.leave()
	}
	info, err := counted(ctx, c, consumer.Info)
	if err != nil {
		return classify(err)
	}
	d, err := c.take(ctx, stream, m, info.Config.AckWait)
	if err != nil {
		c.log.Warn().Err(err).Msg("message left to its redelivery")
		return nil
	}
	defer d.release()
	switch {
	case !free: // others may have a free slot
		_ = d.Return(0) // where that is lost it comes again later
	case s != nil && s.able(ctx) != nil: // it could when the fetch began, which may be long ago
		_ = d.Return(unableDelay)
	default:
		handle(d)
	}
	return nil
}

// share makes a durable consumer or brings it up to date; but its AckWait is not made shorter
// while anybody waits for messages or has one: who has one counts on the longer. A credential that
// may make no consumers takes the one that was declared, as it is.
func (c *Client) share(ctx context.Context, s Shared) (jetstream.Consumer, error) {
	stream, cfg := s.Stream, c.config(s)
	guarded, done := c.denied.guard(ctx, "$JS.API.CONSUMER.INFO."+stream+"."+cfg.Durable)
	defer done()
	consumer, err := c.known(guarded, stream, cfg.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		consumer, err = c.consumer(ctx, stream, cfg)
		if errors.Is(err, ErrForbidden) {
			_ = c.refused(err)
			return nil, fmt.Errorf("%w: consumer %s of stream %s, which this credential may not make: a controller declares it", ErrUndeclared, cfg.Durable, stream)
		}
		return consumer, err
	case err != nil:
		return nil, c.failure(guarded, err)
	}
	info := consumer.CachedInfo()
	if have := info.Config.AckWait; have > cfg.AckWait && (info.NumWaiting > 0 || info.NumAckPending > 0) {
		c.log.Warn().Str("consumer", cfg.Durable).Stringer("ack_wait", have).Stringer("asked_for", cfg.AckWait).
			Msg("others use a longer AckWait: it stays until one starts while nothing is in progress")
		cfg.AckWait = have
	}
	if isAs(info.Config, cfg) { // a server logs what it refuses
		return consumer, nil
	}
	updated, err := c.consumer(ctx, stream, cfg)
	if !errors.Is(err, ErrForbidden) {
		return updated, err
	}
	if have := info.Config.AckWait; have != cfg.AckWait {
		c.log.Warn().Str("consumer", cfg.Durable).Stringer("ack_wait", have).Stringer("asked_for", cfg.AckWait).
			Msg("this credential may not change the AckWait: ask a controller for another")
	}
	return consumer, nil
}

// isAs tells whether a consumer is what a Shared asks for.
func isAs(is, want jetstream.ConsumerConfig) bool {
	return is.FilterSubject == want.FilterSubject && is.AckPolicy == want.AckPolicy && is.AckWait == want.AckWait &&
		is.MaxDeliver == want.MaxDeliver && is.MaxAckPending == want.MaxAckPending
}

// DeclareShared makes the consumer of those who share a name. One that is there gets the settings that it needs, such as no
// bound on deliveries, past which a message would never come again; its AckWait is changed where s asks for one.
func (c *Client) DeclareShared(ctx context.Context, s Shared, otherwise time.Duration) error {
	guarded, done := c.denied.guard(ctx, "$JS.API.CONSUMER.INFO."+s.Stream+"."+s.durable())
	defer done()
	if s.AckWait == 0 {
		have, err := c.known(guarded, s.Stream, s.durable())
		switch {
		case err == nil:
			s.AckWait = have.CachedInfo().Config.AckWait
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			s.AckWait = otherwise
		default:
			return fmt.Errorf("declaring consumer %s: %w", s.durable(), c.failure(guarded, err))
		}
	}
	if _, err := c.share(ctx, s); err != nil {
		return fmt.Errorf("declaring consumer %s: %w", s.durable(), err)
	}
	return nil
}

// fetch waits for one message. It returns nil where none came in time.
func (c *Client) fetch(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	again := c.Reconnected()
	bounded, cancel := context.WithTimeoutCause(ctx, fetchTime, errGap)
	defer cancel()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	batch, err := consumer.Fetch(1, jetstream.FetchContext(bounded), jetstream.FetchHeartbeat(sessionBeat))
	if err != nil {
		return nil, c.refused(classify(err))
	}
	select {
	case m, ok := <-batch.Messages():
		if ok {
			return m, nil
		}
	case <-again: // the server has forgotten the fetch
		return nil, errGap
	}
	switch err := batch.Error(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		return nil, nil
	default:
		return nil, c.refused(classify(err))
	}
}

// AckFloor is the sequence up to which all messages of a Shared are acknowledged: none of them comes
// again. 0 where nobody has ever taken any.
func (c *Client) AckFloor(ctx context.Context, s Shared) (uint64, error) {
	ctx, done := c.denied.guard(ctx, "$JS.API.CONSUMER.INFO."+s.Stream+"."+s.durable())
	defer done()
	consumer, err := c.known(ctx, s.Stream, s.durable())
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, c.failure(ctx, err)
	}
	return consumer.CachedInfo().AckFloor.Stream, nil
}

// Unsettled counts the messages of a Shared that are not acknowledged, those that nobody was ever
// there to take included.
func (c *Client) Unsettled(ctx context.Context, s Shared) (uint64, error) {
	if _, err := c.Last(ctx, s.Stream, c.space.Filter(s.Type)); errors.Is(err, ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	ctx, done := c.denied.guard(ctx, "$JS.API.CONSUMER.INFO."+s.Stream+"."+s.durable())
	defer done()
	consumer, err := c.known(ctx, s.Stream, s.durable())
	if err == nil {
		info := consumer.CachedInfo()
		return info.NumPending + uint64(max(info.NumAckPending, 0)), nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, c.failure(ctx, err)
	}
	subjects, err := c.Subjects(ctx, s.Stream, c.space.Filter(s.Type))
	var unsettled uint64
	for _, n := range subjects {
		unsettled += n
	}
	return unsettled, err
}

// Backoff is the delay before the try after the given one, counted from 1: doubling, bounded,
// and spread by half so that many don't come at once.
func Backoff(first time.Duration, try int) time.Duration {
	d := backoffMost
	if shift := try - 1; shift < 16 {
		d = min(first<<max(shift, 0), backoffMost)
	}
	return d/2 + rand.N(d/2+1)
}
