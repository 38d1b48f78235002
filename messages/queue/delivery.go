package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// The acknowledgements of the JetStream consumer protocol (NATS ADR-13). Each is sent as a
// request, which the server confirms; sent without a reply they seem to work with the server
// gone.
const (
	ackDone     = "+ACK"
	ackProgress = "+WPI"
	ackTerm     = "+TERM"
	ackNak      = "-NAK"
)

const (
	// fetchTime is how long one fetch waits for a message.
	fetchTime = 30 * time.Second
	// insistFirst and insistMost bound the pauses between attempts within a lease.
	insistFirst = 20 * time.Millisecond
	insistMost  = time.Second
	// letterHeaders is room for the headers of a dead letter.
	letterHeaders = 4 << 10
)

// delivery is a message of a durable consumer while this client may act on it. Its lease
// lasts until half the AckWait after the last heartbeat that the server confirmed was sent;
// then ctx ends with ErrLeaseLost and nothing is sent for the message any more.
type delivery struct {
	c          *Client
	message    stored
	stream     string
	deliveries int
	reply      string
	ackWait    time.Duration
	ctx        context.Context //nolint:containedctx // it is the lease: it ends when that does, not with a call
	end        context.CancelCauseFunc

	beats    sync.Mutex // held while a heartbeat, or a hand-back, is on its way
	mu       sync.Mutex
	deadline time.Time
	timer    *time.Timer
	kept     sync.WaitGroup
}

// take makes a delivery of a fetched message and confirms that it is held. It returns an
// error where that can't be confirmed: somebody else will get the message.
func (c *Client) take(ctx context.Context, stream string, m jetstream.Msg, ackWait time.Duration) (*delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("taking a message of stream %s: %w", stream, err)
	}
	d := &delivery{
		c: c, stream: stream, deliveries: int(meta.NumDelivered), reply: m.Reply(), ackWait: ackWait,
		message: stored{m.Subject(), meta.Sequence.Stream, meta.Timestamp,
			messages.Message{Headers: messages.Headers(m.Headers()), Body: m.Data()}},
		deadline: time.Now().Add(ackWait / 2),
	}
	d.ctx, d.end = context.WithCancelCause(context.WithoutCancel(ctx))
	d.timer = time.AfterFunc(ackWait/2, func() { d.end(ErrLeaseLost) })
	if err := d.beat(); err != nil {
		d.release()
		return nil, fmt.Errorf("taking message %d of stream %s: %w", d.message.sequence, stream, err)
	}
	d.kept.Add(1)
	go d.keep()
	return d, nil
}

// release ends the heartbeats. Nothing is sent for the message afterwards.
func (d *delivery) release() {
	d.end(ErrLeaseLost)
	d.timer.Stop()
	d.kept.Wait()
}

// keep sends heartbeats until the delivery is released or its lease is lost.
func (d *delivery) keep() {
	defer d.kept.Done()
	every := time.NewTicker(d.ackWait / 10)
	defer every.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-every.C:
		}
		if err := d.beat(); err != nil && d.ctx.Err() == nil {
			d.c.log.Warn().Err(err).Str("stream", d.stream).Uint64("sequence", d.message.sequence).Msg("heartbeat not confirmed")
		}
	}
}

// beat sends one heartbeat; confirmed, it moves the deadline.
func (d *delivery) beat() error {
	d.beats.Lock()
	defer d.beats.Unlock()
	sent := time.Now()
	if err := d.send(ackProgress); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = sent.Add(d.ackWait / 2)
	d.timer.Reset(time.Until(d.deadline))
	return nil
}

// alive tells whether the lease holds, by the monotonic clock and by the wall clock: the
// first stands still while a machine sleeps.
func (d *delivery) alive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	return d.ctx.Err() == nil && now.Before(d.deadline) && now.Round(0).Before(d.deadline.Round(0))
}

// send sends one acknowledgement, if the lease holds, and waits for its confirmation.
func (d *delivery) send(verdict string) error {
	if !d.alive() {
		d.end(ErrLeaseLost)
		return ErrLeaseLost
	}
	_, err := d.c.ask(d.ctx, d.reply, []byte(verdict))
	return err
}

// insist repeats f while NATS does not answer and the lease holds.
func (d *delivery) insist(f func() error) error {
	for wait := insistFirst; ; wait = min(2*wait, insistMost) {
		if !d.alive() {
			return ErrLeaseLost
		}
		err := f()
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		if !Pause(d.ctx, wait) {
			return ErrLeaseLost
		}
	}
}

func (d *delivery) settle(verdict string) error {
	return d.settled(verdict, d.insist(func() error { return d.send(verdict) }))
}

func (d *delivery) settled(verdict string, err error) error {
	if err != nil {
		err = fmt.Errorf("settling message %d of stream %s with %s: %w", d.message.sequence, d.stream, verdict, err)
	}
	d.end(ErrLeaseLost) // settled or not, it is nobody's business here any more
	return err
}

// done acknowledges the message: it never comes again.
func (d *delivery) done() error { return d.settle(ackDone) }

// back hands the message back, to be delivered again after a delay. It is sent once: by the
// time an answer is known to be lost somebody else may have the message, and would lose it.
// Where it did not pass, the message comes again when the AckWait is over.
func (d *delivery) back(delay time.Duration) error {
	d.beats.Lock() // a heartbeat that came after it would put the delay off
	defer d.beats.Unlock()
	verdict := ackNak
	if delay > 0 {
		verdict = fmt.Sprintf(`%s {"delay": %d}`, ackNak, delay.Nanoseconds())
	}
	var lost error
	err := d.insist(func() error {
		err := d.send(verdict)
		if errors.Is(err, ErrUnavailable) && !unsent(err) {
			lost, err = err, nil
		}
		return err
	})
	return d.settled(verdict, errors.Join(err, lost))
}

// bury keeps the message among the dead letters and ends its deliveries.
func (d *delivery) bury(reason string) error {
	if err := d.letter(reason); err != nil {
		return err
	}
	return d.settle(ackTerm + " " + strings.ReplaceAll(brief(reason), "\n", " "))
}

// letter keeps a copy of the message among the dead letters. Done again it changes nothing.
func (d *delivery) letter(reason string) error {
	l := &messages.DeadLetter{
		Stream: d.stream, Sequence: d.message.sequence, Subject: d.message.subject, Reason: brief(reason),
		Headers: d.message.message.Headers, Body: d.message.message.Body,
		Deliveries: d.deliveries, At: time.Now().UTC(),
	}
	subject := d.c.space.Subject(l)
	e := d.c.Envelope(about(l, subject), "")
	m, err := messages.Encode(e, l)
	if err == nil && int64(len(m.Body))+letterHeaders > d.c.nc.MaxPayload() {
		l.Omitted, l.Headers, l.Body = len(l.Body), nil, nil
		m, err = messages.Encode(e, l)
	}
	if err != nil {
		return err
	}
	return d.insist(func() error {
		_, err := d.c.PublishOnce(d.ctx, subject, m)
		return err
	})
}

// consume fetches messages of a durable consumer one at a time, each when the one before is
// handled and the slot lets, until ctx ends. It makes the consumer anew where it was deleted. The
// AckWait that counts is the consumer's own, read for each message: others who share it may change it.
func (c *Client) consume(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, s *slot, handle func(*delivery)) error {
	return c.retry(ctx, "consuming "+stream, func() error {
		consumer, err := c.shared(ctx, stream, cfg)
		if err != nil {
			return err
		}
		for {
			if err := s.await(ctx); err != nil {
				return err
			}
			m, err := c.fetch(ctx, consumer)
			if err == nil && m != nil {
				err = c.consumeOne(ctx, stream, consumer, m, s, handle)
			}
			if err != nil {
				return err
			}
		}
	})
}

// consumeOne handles a fetched message, or leaves it to its redelivery.
func (c *Client) consumeOne(ctx context.Context, stream string, consumer jetstream.Consumer, m jetstream.Msg, s *slot, handle func(*delivery)) error {
	free := s.enter()
	if free {
		defer s.leave()
	}
	info, err := consumer.Info(ctx)
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
		_ = d.back(0) // where that is lost it comes again later
	case s != nil && s.able(ctx) != nil: // it could when the fetch began, which may be long ago
		_ = d.back(unableDelay)
	default:
		handle(d)
	}
	return nil
}

// unableDelay is how long a message is kept from one who can't handle it, for others to take it.
const unableDelay = time.Second

// slot lets those who consume different types take one message at a time between them. Nil lets
// always.
type slot struct {
	taken chan struct{}
	ready func(context.Context) error // waits until a message can be handled
	able  func(context.Context) error // tells why none can be handled now
}

func newSlot(ready, able func(context.Context) error) *slot {
	return &slot{make(chan struct{}, 1), ready, able}
}

// await waits until the slot is free and a message can be handled.
func (s *slot) await(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case s.taken <- struct{}{}:
		<-s.taken
		return s.ready(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter takes the slot, unless it is taken.
func (s *slot) enter() bool {
	if s == nil {
		return true
	}
	select {
	case s.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *slot) leave() {
	if s != nil {
		<-s.taken
	}
}

// shared makes a durable consumer or changes it to cfg; but its AckWait is not made shorter
// while anybody waits for messages or has one: who has one counts on the longer.
func (c *Client) shared(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	guarded, done := c.denied.guard(ctx, "$JS.API.CONSUMER.*")
	defer done()
	consumer, err := c.js.Consumer(guarded, stream, cfg.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return c.consumer(ctx, stream, cfg)
	case err != nil:
		return nil, c.failure(guarded, err)
	}
	info := consumer.CachedInfo()
	if have := info.Config.AckWait; have > cfg.AckWait && (info.NumWaiting > 0 || info.NumAckPending > 0) {
		c.log.Warn().Str("consumer", cfg.Durable).Stringer("ack_wait", have).Stringer("asked_for", cfg.AckWait).
			Msg("others use a longer AckWait: it stays until one starts while nothing is in progress")
		cfg.AckWait = have
	}
	return c.consumer(ctx, stream, cfg)
}

// fetch waits for one message. It returns nil where none came in time.
func (c *Client) fetch(ctx context.Context, consumer jetstream.Consumer) (jetstream.Msg, error) {
	again := c.again()
	bounded, cancel := context.WithTimeoutCause(ctx, fetchTime, errGap)
	defer cancel()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	batch, err := consumer.Fetch(1, jetstream.FetchContext(bounded), jetstream.FetchHeartbeat(sessionBeat))
	if err != nil {
		return nil, classify(err)
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
		return nil, classify(err)
	}
}
