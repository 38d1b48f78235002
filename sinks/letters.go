package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// giveUpOld gives up what has been tried for as long as it is to be, and what the sink calls wrong. Where the sink is away,
// what is as old as that behind it goes too: each would be tried for as long again.
func (s *sink) giveUpOld(ctx context.Context) error {
	for _, it := range append(line(nil), s.line...) {
		if it.sending {
			continue
		}
		old := s.tail.age(it.at) > s.RetryFor
		reason := s.problem
		wrong := it.refused >= refusedMost
		switch {
		case wrong:
			reason = it.refusal
		case old && it.refusal != "":
			reason = it.refusal
		case old && it.tries > 0 && s.failures > 0, old && s.failures >= awayAfter:
		default:
			continue
		}
		if err := s.giveUp(ctx, it, reason); err != nil {
			return err
		}
		if wrong { // once, however often NATS did not take the letter
			s.wrong++
		}
	}
	return nil
}

// giveUp keeps an event among the dead letters, of which a requeue sends it to this sink again. Others need their room, too:
// where half of it is taken, the event is dropped.
func (s *sink) giveUp(ctx context.Context, it *item, reason string) error {
	space := s.w.Queue.Space()
	info, err := s.w.Queue.Info(ctx, space.LettersStream())
	if err != nil {
		return fmt.Errorf("keeping a dead letter: %w", err)
	}
	if info.MaxBytes > 0 && int64(info.Bytes) > info.MaxBytes/2 {
		s.log.Error().Str("subject", it.stored.Subject).Str("reason", reason).Msg("an event is dropped that the sink has not taken: dead letters take half of their room already")
		s.w.Metrics.Sent(s.Name, "dropped")
		s.remove(it)
		return nil
	}
	event := it.stored.Message
	if r, err := s.w.Queue.Decode(it.stored); err == nil {
		if u, ok := r.Payload.(*messages.EventUndelivered); ok {
			event = u.Event
		}
	}
	u := &messages.EventUndelivered{Sink: s.Name, Event: event, Stored: it.at}
	m, err := messages.Encode(s.w.Queue.Envelope(messages.About(u), ""), u)
	if err != nil {
		return err
	}
	err = s.w.Queue.KeepLetter(ctx, messages.DeadLetter{
		Stream: space.SinksStream(), Sequence: s.letter(it), Subject: space.Subject(u), Headers: m.Headers, Body: m.Body, Deliveries: it.tries,
		Reason: fmt.Sprintf("sink %s has not taken it in %s: %s", s.Name, s.tail.age(it.at).Round(time.Second), reason),
	})
	if err != nil {
		return fmt.Errorf("keeping a dead letter: %w", err)
	}
	s.log.Error().Str("subject", it.stored.Subject).Str("reason", reason).Msg("an event is given up: it is among the dead letters")
	s.w.Metrics.Sent(s.Name, "given_up")
	s.remove(it)
	return nil
}

// letter is the number of an event's dead letter: the same each time, and no other's. It fits what JSON readers hold.
func (s *sink) letter(it *item) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", s.Name, it.stream, it.stored.Sequence))
	return binary.BigEndian.Uint64(sum[:8])>>11 | 1
}
