package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// sessionIdle is how long the server keeps a reader's consumer that went away.
	sessionIdle = time.Minute
	// sessionBeat is how often the server says that it is still there; twice that without a
	// word ends the session.
	sessionBeat = 5 * time.Second
	// sessionAsk is how long a reader that has not caught up waits for a message before it
	// asks whether there are any.
	sessionAsk = 2 * time.Second
	// sessionLooks is how often a reader of records looks whether some were changed while it
	// read. One would have to be changed again between any two looks to be missed.
	sessionLooks = 10
	// retryFirst and retryMost bound the pauses between attempts to open a session again.
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// errGap tells that a reader missed a message, so that the session must be opened again.
var errGap = errors.New("a message was missed")

// errNoneLeft tells that the messages that a reader waits for are gone.
var errNoneLeft = errors.New("no message is left")

// session is one ephemeral consumer, from its creation to the first trouble with it.
type session struct {
	stream  string
	filters []string
	from    uint64 // first sequence, or 0
	newOnly bool
	perKey  bool // the last message of each subject first
}

func (s session) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		FilterSubjects: s.filters, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: sessionIdle, MemoryStorage: true, Replicas: 1,
	}
	switch {
	case s.perKey:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case s.from > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.from
	case s.newOnly:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return cfg
}

// run gives every message to each, in order, and calls caughtUp once when all that was there
// at the start has been given. It returns each's error, or what ended the session: ctx, a
// reconnect, a deleted consumer, a silent server.
func (c *Client) run(ctx context.Context, s session, each func(Stored) error, caughtUp func() error) error {
	if c.asks.Load() {
		return c.asking(ctx, s, each, caughtUp)
	}
	again := c.Reconnected()
	consumer, err := c.consumer(ctx, s.stream, s.config())
	if errors.Is(err, ErrForbidden) {
		c.asks.Store(true)
		return c.asking(ctx, s, each, caughtUp)
	}
	if err != nil {
		return err
	}
	defer c.forget(s.stream, consumer.CachedInfo().Name)
	looks := 0
	if consumer.CachedInfo().NumPending == 0 {
		more, err := c.more(ctx, s, consumer, 0, &looks)
		if err == nil && !more {
			err, caughtUp = caughtUp(), nil
		}
		if err != nil {
			return err
		}
	}
	it, err := consumer.Messages(jetstream.PullHeartbeat(sessionBeat))
	if err != nil {
		return c.refused(classify(err))
	}
	defer it.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	go func() {
		select {
		case <-again:
			cancel(errGap)
		case <-ctx.Done():
		}
	}()
	for next := uint64(1); ; next++ {
		m, err := c.next(ctx, consumer, it, next-1, caughtUp != nil)
		switch cause := context.Cause(ctx); {
		case errors.Is(err, errNoneLeft):
			if err := caughtUp(); err != nil {
				return err
			}
			caughtUp = nil
			next--
			continue
		case err != nil && cause != nil:
			return cause
		case err != nil:
			return c.refused(classify(err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading stream %s: %w", s.stream, err)
		}
		if meta.Sequence.Consumer != next {
			return errGap
		}
		if err := each(Stored{m.Subject(), meta.Sequence.Stream, meta.Timestamp,
			messages.Message{Headers: messages.Headers(m.Headers()), Body: m.Data()}}); err != nil {
			return err
		}
		if caughtUp == nil || meta.NumPending > 0 {
			continue
		}
		more, err := c.more(ctx, s, consumer, next, &looks)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if err := caughtUp(); err != nil {
			return err
		}
		caughtUp = nil
	}
}

// more looks whether a reader of records who has received so many messages has more to come: one
// that was changed before it was given is given by its new message, which the count of those
// that are left may not have in it yet.
func (c *Client) more(ctx context.Context, s session, consumer jetstream.Consumer, received uint64, looks *int) (bool, error) {
	if !s.perKey || *looks == sessionLooks {
		return false, nil
	}
	*looks++
	info, err := counted(ctx, c, consumer.Info)
	if err != nil {
		return false, classify(err)
	}
	return info.NumPending > 0 || info.Delivered.Consumer > received, nil
}

// next waits for a session's next message. A reader that counts on messages which were there
// at its start is told with errNoneLeft when they were removed in between.
func (c *Client) next(ctx context.Context, consumer jetstream.Consumer, it jetstream.MessagesContext, received uint64, counting bool) (jetstream.Msg, error) {
	for late := false; counting; {
		m, err := it.Next(jetstream.NextMaxWait(sessionAsk))
		if !errors.Is(err, nats.ErrTimeout) {
			return m, err
		}
		info, err := consumer.Info(ctx)
		switch {
		case err != nil:
			return nil, err
		case info.Delivered.Consumer > received && late:
			return nil, errGap
		case info.Delivered.Consumer > received: // on its way, or lost
			late = true
		case info.NumPending == 0:
			return nil, errNoneLeft
		}
	}
	return it.Next()
}

// consumer makes a consumer, or brings a durable one up to date. That it may not is not counted: who asks finds out by that,
// and has another way.
func (c *Client) consumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	ctx, done := c.denied.guard(ctx, "$JS.API.CONSUMER.CREATE."+stream+"*")
	defer done()
	began := time.Now()
	consumer, err := answered(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return c.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	})
	if err != nil {
		if err = c.failure(ctx, err); !errors.Is(err, ErrForbidden) {
			c.observe(began, err)
		}
		return nil, err
	}
	c.observe(began, nil)
	return consumer, nil
}

// forget deletes a consumer that is done with, where that is possible; else the server does
// when it was idle for sessionIdle.
func (c *Client) forget(stream, consumer string) {
	if c.nc.IsConnected() {
		_ = c.nc.PublishMsg(&nats.Msg{Subject: "$JS.API.CONSUMER.DELETE." + stream + "." + consumer})
	}
}

// retry calls f again and again, with growing pauses, until it returns an error that trying
// again does not mend, or nil, or ctx ends.
func (c *Client) retry(ctx context.Context, what string, f func() error) error {
	wait := retryFirst
	for {
		began := time.Now()
		again := c.Reconnected()
		err := f()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrForbidden), IsPermanent(err):
			return err
		}
		if time.Since(began) > retryMost {
			wait = retryFirst
		}
		if !errors.Is(err, errGap) {
			c.log.Warn().Err(err).Dur("again_in", wait).Msg(what + " interrupted")
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			wait = min(2*wait, retryMost)
		case <-again:
			wait = retryFirst // what failed while the server was gone says nothing about now
		case <-ctx.Done():
		}
		t.Stop()
	}
}
