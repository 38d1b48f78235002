package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// pauseMost bounds the pause after a sink was away, leaveMost what it may ask for.
	pauseMost, leaveMost = 5 * time.Minute, time.Hour
	// refusedMost is after how many tries an event is given up that a sink calls wrong, and wrongMost after how many of those in a
	// row it is the sink that is wrong, or what it is sent: then further ones wait.
	refusedMost, wrongMost = 3, 5
	// awayAfter is after how many tries in a row a sink is away: then events that are too old are given up untried.
	awayAfter = 5
)

// result is how a try went.
type result struct {
	it  *item
	err error // nil where the sink has taken the event
}

// settle decides what becomes of an event after a try.
func (s *sink) settle(r result) {
	it := r.it
	s.sending--
	it.sending = false
	if s.record.Gone != "" { // it wants no more, whatever became of what was on its way beside that
		return
	}
	var answer *answerError
	errors.As(r.err, &answer)
	switch {
	case r.err == nil:
		s.delivered(it)
	case errors.Is(r.err, context.Canceled): // the worker is told to end
	case answer != nil && answer.gone():
		s.gone(r.err)
	case answer != nil && answer.wrong(), errors.As(r.err, new(*bodyError)):
		if s.wrong >= wrongMost {
			s.away(it, fmt.Errorf("it refuses one event after the other: %w", r.err), answer)
			return
		}
		s.refused(it, r.err)
	default:
		s.away(it, r.err, answer)
	}
}

func (s *sink) delivered(it *item) {
	s.w.Metrics.Sent(s.Name, "delivered")
	s.remove(it)
	s.unnoted++
	s.failures, s.wrong, s.pause, s.record.Sent = 0, 0, time.Time{}, time.Now().UTC()
	if s.problem != "" {
		s.log.Info().Msg("events reach the sink again")
		s.problem = ""
	}
}

// refused takes in that the sink calls an event wrong: it is tried a few times, as a sink may be, and given up.
func (s *sink) refused(it *item, err error) {
	s.w.Metrics.Sent(s.Name, "refused")
	s.log.Warn().Err(err).Uint64("sequence", it.stored.Sequence).Str("stream", it.stream).Msg("the sink does not take an event")
	it.tries++
	it.refused++
	it.after = time.Now().Add(grown(s.w.Pause, it.tries))
	it.refusal = err.Error()
	s.dirty = true
}

// away takes in that the sink can't be reached, or doesn't work.
func (s *sink) away(it *item, err error, answer *answerError) {
	s.w.Metrics.Sent(s.Name, "failed")
	s.failures++
	it.tries++
	wait := grown(s.w.Pause, s.failures)
	if answer != nil {
		wait = max(wait, min(answer.after, leaveMost))
	}
	s.pause, it.after = time.Now().Add(wait), time.Now().Add(grown(s.w.Pause, it.tries))
	s.dirty = true // more may wait than did
	s.trouble(err)
}

// trouble says what keeps events from the sink, once.
func (s *sink) trouble(err error) {
	if text := err.Error(); s.problem != text {
		s.log.Error().Err(err).Msg("events don't reach the sink")
		s.problem, s.dirty = text, true
	}
}

// gone takes in that the sink wants no more: nothing is kept for it until it is configured otherwise.
func (s *sink) gone(err error) {
	s.w.Metrics.Sent(s.Name, "refused")
	address, _ := s.address() // as it was just read
	s.record.Gone = s.Digest(address)
	s.line, s.dirty = nil, true
	s.problem = ""
	s.trouble(err)
}

// awaitOther waits until a sink that wanted no more is another: its address may be in a file. Then it begins anew.
func (s *sink) awaitOther(ctx context.Context) error {
	s.await()
	for {
		if err := s.insist(ctx, s.save); err != nil {
			return err
		}
		s.tell()
		address, err := s.address()
		if err == nil && s.Digest(address) != s.record.Gone {
			break
		}
		if !queue.Pause(ctx, s.w.Look) {
			return context.Cause(ctx)
		}
	}
	s.log.Info().Msg("the sink is configured otherwise: it begins with what happens from here on")
	s.record.Gone, s.problem, s.failures, s.wrong, s.pause = "", "", 0, 0, time.Time{}
	return s.insist(ctx, s.beginNow)
}

// remove takes an event out of the line.
func (s *sink) remove(it *item) {
	s.line = slices.DeleteFunc(s.line, func(other *item) bool { return other == it })
	s.dirty = true
}

// grown is the pause after so many failures in a row: it doubles up to pauseMost, and varies by half.
func grown(first time.Duration, failures int) time.Duration {
	d := pauseMost
	if shift := failures - 1; shift < 16 {
		d = min(first<<max(shift, 0), pauseMost)
	}
	return d/2 + rand.N(d/2+1)
}
