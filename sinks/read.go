package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/sinks/form"
)

const (
	// anewAfter is for how long a stream is shorter than what was read of it until it is another: a new leader of it may not
	// have all of it at once.
	anewAfter = time.Minute
	// behindPause is between tries to read what the server that was asked does not have yet, and behindMost how many they are.
	behindPause, behindMost = 50 * time.Millisecond, 40
)

// reading is how far a stream is read for a sink.
type reading struct {
	next    uint64          // the sequence that is read next
	until   uint64          // below it, what is in left alone is to be delivered: the rest was before this worker
	left    map[uint64]bool // of before
	horizon time.Time       // when the last that was read was stored, where more is there; zero where all is read
	shorter time.Time       // since when the stream has been shorter than this; zero where it is not
	anew    bool            // it is another stream than it was: what that has not any more was never waited for
	last    time.Time       // when the last that was read was stored; zero where that is not known
	skip    time.Time       // of another stream: what was stored until then was read before, as it was restored
}

// horizon is up to when all is read; zero where all of all streams is.
func (s *sink) horizon() time.Time {
	var least time.Time
	for _, r := range s.reading {
		if !r.horizon.IsZero() && (least.IsZero() || r.horizon.Before(least)) {
			least = r.horizon
		}
	}
	return least
}

// refill reads more where little waits.
func (s *sink) refill(ctx context.Context) error {
	last, _ := s.tail.seen()
	for read := true; read && s.line.short(); {
		read = false
		for _, stream := range s.streams {
			end, ok := last[stream]
			if !ok {
				continue
			}
			r := s.reading[stream]
			if r == nil { // it can be read only now
				r = s.from(end + 1)
				s.reading[stream], s.dirty = r, true
			}
			if r.another(end) {
				s.log.Warn().Str("stream", stream).Msg("a stream begins anew: it is read from its start, but for what was read before")
				*r, s.dirty = reading{next: 1, anew: true, left: r.left, last: r.last, skip: r.last}, true
			}
			if r.next > end {
				continue
			}
			if err := s.readOn(ctx, stream, r, end); err != nil {
				return err
			}
			read = true
		}
		s.line.sort()
	}
	return nil
}

// another tells whether a stream whose last message is end is not the one that was read.
func (r *reading) another(end uint64) bool {
	switch {
	case max(r.next, r.until) <= end+1:
		r.shorter = time.Time{}
	case r.shorter.IsZero():
		r.shorter = time.Now()
	default:
		return time.Since(r.shorter) > anewAfter
	}
	return false
}

// readOn reads the next messages of a stream whose last one is end. In a cluster the server that answers may not have them yet.
func (s *sink) readOn(ctx context.Context, stream string, r *reading, end uint64) error {
	for range behindMost {
		behind, err := s.readSome(ctx, stream, r, end)
		if err != nil || !behind {
			return err
		}
		if !queue.Pause(ctx, behindPause) {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("reading stream %s: %w: a server of the cluster has not all of it, or what the leader hasn't", stream, queue.ErrUnavailable)
}

// readSome is readOn as far as one answer has it; it is behind where that lacks what the stream's leader has.
func (s *sink) readSome(ctx context.Context, stream string, r *reading, end uint64) (behind bool, err error) {
	found, more, err := s.w.Queue.Next(ctx, stream, ">", r.next, batchMost, batchBytes)
	if err != nil {
		return false, err
	}
	s.dirty = true
	found = slices.DeleteFunc(found, func(m queue.Stored) bool { return m.Sequence < r.next })
	if past := slices.IndexFunc(found, func(m queue.Stored) bool { return m.Sequence > end }); past >= 0 {
		found, more = found[:past], false // it is read once the tail knows of it: a stream that is shorter than what was read is another
	}
	first := end + 1
	if len(found) > 0 {
		first = found[0].Sequence
	}
	if behind, err := s.passOver(ctx, stream, r, first); err != nil || behind || len(found) == 0 && more {
		return true, err
	}
	for _, m := range found {
		s.take(stream, r, m)
	}
	r.horizon = time.Time{}
	if more {
		r.horizon = found[len(found)-1].Time
	} else {
		behind, err = s.passOver(ctx, stream, r, end+1)
	}
	if r.next >= r.until && (r.skip.IsZero() || r.last.After(r.skip)) {
		r.left = nil // what is not there any more is gone
	}
	return behind, err
}

// take takes in a message that was read.
func (s *sink) take(stream string, r *reading, m queue.Stored) {
	before := m.Sequence < r.until || !m.Time.After(r.skip)
	r.next, r.anew = m.Sequence+1, false
	if !before {
		r.last = m.Time
	}
	if it := s.item(stream, m); it != nil && (!before || r.left[m.Sequence]) {
		s.line = append(s.line, it)
	}
	delete(r.left, m.Sequence)
}

// passOver passes over what a stream has not any more, up to before a sequence; behind tells that its leader has some of it. What
// the stream's limits have removed is lost; what people have removed of one that has no such limits is not.
func (s *sink) passOver(ctx context.Context, stream string, r *reading, to uint64) (behind bool, err error) {
	if r.next >= to {
		return false, nil
	}
	has, info, err := s.w.Queue.Has(ctx, stream, r.next, to)
	if err != nil || has {
		return has, err
	}
	if !info.Refuses && !r.anew {
		s.lost(stream, r.wanted(min(to, info.First)))
	}
	r.next = to
	return false, nil
}

// wanted is how many messages before a sequence were still to be delivered, as far as that is known: what was not read counts.
func (r *reading) wanted(before uint64) uint64 {
	n := uint64(0)
	for sequence := range r.left {
		if sequence < before {
			n++
			delete(r.left, sequence)
		}
	}
	if from := max(r.next, r.until); before > from {
		n += before - from
	}
	return n
}

// lost takes in that so many events can't be sent any more.
func (s *sink) lost(stream string, n uint64) {
	if n == 0 {
		return
	}
	s.log.Error().Str("stream", stream).Uint64("events", n).Msg("events are lost: the stream's limits removed them before the sink was sent them. Some may be of a kind that it doesn't want")
	s.w.Metrics.Lost(s.Name, n)
	s.record.Lost += n
	s.record.LostAt = time.Now().UTC()
}

// item is what waits of a message; nil where the sink isn't sent it.
func (s *sink) item(stream string, m queue.Stored) *item {
	again := stream == s.w.Queue.Space().SinksStream() // somebody wants it sent to the sink that its subject names
	if again && !strings.HasSuffix(m.Subject, "."+s.Name) {
		return nil
	}
	e, err := s.event(m)
	if errors.Is(err, messages.ErrNewer) && !s.newer {
		s.newer = true
		s.log.Warn().Err(err).Msg("messages of a newer fenceline are not sent to sinks")
	}
	if err != nil || e == nil {
		return nil
	}
	if !again && (!s.Wants(e) || e.OfSinks(s.w.Queue.Space())) {
		return nil
	}
	return &item{stream: stream, stored: m, at: m.Time, lanes: slices.Clone(e.Lanes())}
}

// event is what a message tells; nil where that is nothing for sinks.
func (s *sink) event(m queue.Stored) (*form.Event, error) {
	r, err := s.w.Queue.Decode(m)
	if err != nil {
		return nil, err
	}
	if u, ok := r.Payload.(*messages.EventUndelivered); ok {
		r.Envelope, r.Payload, err = messages.Decode(u.Event)
		if err != nil {
			return nil, err
		}
		r.Message = u.Event
	}
	e, ok := s.w.Target.Site.Of(r.Envelope, r.Payload, r.Message.Body)
	if !ok {
		return nil, nil //nolint:nilnil // it is nothing for sinks
	}
	return e, nil
}
