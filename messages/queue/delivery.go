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
	// insistFirst and insistMost bound the pauses between attempts within a lease.
	insistFirst = 20 * time.Millisecond
	insistMost  = time.Second
	// reasonMost bounds, in bytes, the reason that goes with a message that is given up.
	reasonMost = 8 << 10
	// letterHeaders is room for the headers of a dead letter.
	letterHeaders = 4 << 10
)

// Delivery is a message of a durable consumer while this client may act on it. Its lease
// lasts until half the AckWait after the last heartbeat that the server confirmed was sent;
// then ctx ends with ErrLeaseLost and nothing is sent for the message any more.
type Delivery struct {
	Stored            // the message
	Stream     string // that it is from
	Deliveries int    // how often it was delivered, this time included

	c       *Client
	reply   string
	ackWait time.Duration
	ctx     context.Context //nolint:containedctx // it is the lease: it ends when that does, not with a call
	end     context.CancelCauseFunc

	beats    sync.Mutex // held while a heartbeat, or a hand-back, is on its way
	beaten   func()     // called when one is confirmed, if not nil
	mu       sync.Mutex
	deadline time.Time
	timer    *time.Timer
	kept     sync.WaitGroup
}

// take makes a delivery of a fetched message and confirms that it is held. It returns an
// error where that can't be confirmed: somebody else will get the message.
func (c *Client) take(ctx context.Context, stream string, m jetstream.Msg, ackWait time.Duration) (*Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("taking a message of stream %s: %w", stream, err)
	}
	d := &Delivery{
		Stored: Stored{m.Subject(), meta.Sequence.Stream, meta.Timestamp,
			messages.Message{Headers: messages.Headers(m.Headers()), Body: m.Data()}},
		Stream: stream, Deliveries: int(meta.NumDelivered), c: c, reply: m.Reply(), ackWait: ackWait,
		deadline: time.Now().Add(ackWait / 2),
	}
	d.ctx, d.end = context.WithCancelCause(context.WithoutCancel(ctx))
	d.timer = time.AfterFunc(ackWait/2, func() { d.end(ErrLeaseLost) })
	if err := d.Beat(); err != nil {
		d.release()
		return nil, fmt.Errorf("taking message %d of stream %s: %w", d.Sequence, stream, err)
	}
	d.kept.Add(1)
	go d.keep()
	return d, nil
}

// AckWait is how long the message stays with one who went silent.
func (d *Delivery) AckWait() time.Duration { return d.ackWait }

// Context ends, with cause ErrLeaseLost, when the lease does.
func (d *Delivery) Context() context.Context { return d.ctx }

// release ends the heartbeats. Nothing is sent for the message afterwards.
func (d *Delivery) release() {
	d.end(ErrLeaseLost)
	d.timer.Stop()
	d.kept.Wait()
}

// keep sends heartbeats until the delivery is released or its lease is lost.
func (d *Delivery) keep() {
	defer d.kept.Done()
	every := time.NewTicker(d.ackWait / 10)
	defer every.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-every.C:
		}
		if err := d.Beat(); err != nil && d.ctx.Err() == nil {
			d.c.log.Warn().Err(err).Str("stream", d.Stream).Uint64("sequence", d.Sequence).Msg("heartbeat not confirmed")
		}
	}
}

// Beat sends one heartbeat; confirmed, it moves the deadline.
func (d *Delivery) Beat() error {
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
	if d.beaten != nil {
		d.beaten()
	}
	return nil
}

// Beaten has f called whenever a heartbeat is confirmed, and once now; nil for no more. It must not wait.
func (d *Delivery) Beaten(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.beaten = f; f != nil {
		f()
	}
}

// Alive tells whether the lease holds, by the monotonic clock and by the wall clock: the
// first stands still while a machine sleeps.
func (d *Delivery) Alive() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	return d.ctx.Err() == nil && now.Before(d.deadline) && now.Round(0).Before(d.deadline.Round(0))
}

// send sends one acknowledgement, if the lease holds, and waits for its confirmation.
func (d *Delivery) send(verdict string) error {
	if !d.Alive() {
		d.end(ErrLeaseLost)
		return ErrLeaseLost
	}
	_, err := d.c.ask(d.ctx, d.reply, []byte(verdict))
	return err
}

// Insist repeats f while NATS does not answer and the lease holds.
func (d *Delivery) Insist(f func() error) error {
	for wait := insistFirst; ; wait = min(2*wait, insistMost) {
		if !d.Alive() {
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

func (d *Delivery) settle(verdict string) error {
	return d.settled(verdict, d.Insist(func() error { return d.send(verdict) }))
}

func (d *Delivery) settled(verdict string, err error) error {
	if err != nil {
		err = fmt.Errorf("settling message %d of stream %s with %s: %w", d.Sequence, d.Stream, verdict, err)
	}
	d.end(ErrLeaseLost) // settled or not, it is nobody's business here any more
	return err
}

// Done acknowledges the message: it never comes again.
func (d *Delivery) Done() error { return d.settle(ackDone) }

// Return hands the message back, to be delivered again after a delay. It is sent once: by the
// time an answer is known to be lost somebody else may have the message, and would lose it.
// Where it did not pass, the message comes again when the AckWait is over.
func (d *Delivery) Return(delay time.Duration) error {
	d.beats.Lock() // a heartbeat that came after it would put the delay off
	defer d.beats.Unlock()
	verdict := ackNak
	if delay > 0 {
		verdict = fmt.Sprintf(`%s {"delay": %d}`, ackNak, delay.Nanoseconds())
	}
	var lost error
	err := d.Insist(func() error {
		err := d.send(verdict)
		if errors.Is(err, ErrUnavailable) && !unsent(err) {
			lost, err = err, nil
		}
		return err
	})
	return d.settled(verdict, errors.Join(err, lost))
}

// Bury keeps the message among the dead letters and ends its deliveries. Where no letter fits it comes again, after pauses that
// grow, until one does: nothing else would keep it.
func (d *Delivery) Bury(reason string) error {
	err := d.KeepLetter(reason)
	if errors.Is(err, ErrFull) {
		d.c.log.Error().Err(err).Str("subject", d.Subject).Msg("there is no room for a dead letter: the message comes again until some are dropped")
		return d.Return(Backoff(eventsBackoff, d.Deliveries))
	}
	if err != nil {
		return err
	}
	return d.settle(ackTerm + " " + strings.ReplaceAll(messages.ShortenMiddle(reason, reasonMost), "\n", " "))
}

// KeepLetter keeps a copy of the message among the dead letters. Done again it changes nothing.
func (d *Delivery) KeepLetter(reason string) error {
	l := messages.DeadLetter{
		Stream: d.Stream, Sequence: d.Sequence, Subject: d.Subject, Reason: reason,
		Headers: d.Message.Headers, Body: d.Message.Body, Deliveries: d.Deliveries,
	}
	return d.Insist(func() error { return d.c.KeepLetter(d.ctx, l) })
}

// KeepLetter keeps a dead letter. Done again it changes nothing.
func (c *Client) KeepLetter(ctx context.Context, l messages.DeadLetter) error {
	l.Reason, l.At = messages.ShortenMiddle(l.Reason, reasonMost), time.Now().UTC()
	e := c.Envelope(messages.About(&l), "")
	m, err := messages.Encode(e, &l)
	if err == nil && int64(len(m.Body))+letterHeaders > c.nc.MaxPayload() {
		l.Omitted, l.Headers, l.Body = len(l.Body), nil, nil
		m, err = messages.Encode(e, &l)
	}
	if err != nil {
		return err
	}
	_, err = c.PublishOnce(ctx, c.space.Subject(&l), m)
	return err
}
