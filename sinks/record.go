package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// refreshed is how old a record grows that nothing changes: its bucket forgets what is older than 30 days.
const refreshed = 24 * time.Hour

// reading is how far a stream is read for a sink.
type reading struct {
	next    uint64          // the sequence that is read next
	until   uint64          // below it, what is in left alone is to be delivered: the rest was before this worker
	left    map[uint64]bool // of before
	horizon time.Time       // when the last that was read was stored, where more is there; zero where all is read
}

// load takes up where the last worker was. A sink that there is no record of begins with what is stored from here on.
func (s *sink) load(ctx context.Context) error {
	e, err := s.records.Current(ctx, messages.SinkKey(s.Name))
	switch {
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, messages.ErrMalformed):
		s.record, s.revision = messages.SinkRecord{Sink: s.Name}, e.Revision
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			s.log.Error().Err(err).Msg("what is known of a sink can't be read: it begins with what happens from here on")
		}
		s.log.Info().Msg("sink begins with what happens from here on")
		return s.beginNow(ctx)
	case err != nil:
		return fmt.Errorf("reading how far sink %s is: %w", s.Name, err)
	}
	s.record, s.revision = e.Value, e.Revision
	s.problem = s.record.Problem
	for stream, at := range s.record.Streams {
		r := &reading{next: at.Read, until: at.Read, left: map[uint64]bool{}}
		for _, sequence := range at.Left {
			r.left[sequence], r.next = true, min(r.next, sequence)
		}
		s.reading[stream] = r
	}
	return nil
}

// beginNow has the sink begin with what is stored from here on.
func (s *sink) beginNow(ctx context.Context) error {
	s.line, s.reading = nil, map[string]*reading{}
	s.tail.look(ctx)
	last, _ := s.tail.seen()
	if len(last) == 0 {
		return fmt.Errorf("finding where sink %s begins: %w", s.Name, queue.ErrUnavailable)
	}
	for _, stream := range s.streams { // one that can't be read yet begins when it can
		if end, ok := last[stream]; ok {
			s.reading[stream] = &reading{next: end + 1}
		}
	}
	s.dirty = true
	return nil
}

// save writes down how far the sink is, where that has changed.
func (s *sink) save(ctx context.Context) error {
	if !s.dirty && time.Since(s.record.Written) < refreshed {
		return nil
	}
	r := s.record
	r.Streams, r.Waiting, r.Oldest, r.Problem, r.Written = map[string]messages.SinkAt{}, s.waiting(), time.Time{}, s.problem, time.Now().UTC()
	for stream, reading := range s.reading {
		at := messages.SinkAt{Read: max(reading.next, reading.until)}
		for sequence := range reading.left {
			if sequence >= reading.next { // not read again yet
				at.Left = append(at.Left, sequence)
			}
		}
		for _, it := range s.line {
			if it.stream == stream {
				at.Left = append(at.Left, it.stored.Sequence)
			}
		}
		slices.Sort(at.Left)
		r.Streams[stream] = at
	}
	if len(s.line) > 0 {
		r.Oldest = s.line[0].at
	}
	if r.Problem == "" {
		r.Since = time.Time{}
	} else if r.Since.IsZero() {
		r.Since = r.Written
	}
	revision, err := s.put(ctx, r)
	if err != nil {
		return fmt.Errorf("writing down how far sink %s is: %w", s.Name, err)
	}
	s.record, s.revision, s.dirty = r, revision, false
	return nil
}

func (s *sink) put(ctx context.Context, r messages.SinkRecord) (uint64, error) {
	key := messages.SinkKey(s.Name)
	if s.revision == 0 {
		return s.records.Create(ctx, key, r)
	}
	revision, err := s.records.Update(ctx, key, r, s.revision)
	if !errors.Is(err, queue.ErrMoved) {
		return revision, err
	}
	// An own write whose answer was lost: nobody else writes it while this worker has the lease.
	e, readErr := s.records.Current(ctx, key)
	switch {
	case errors.Is(readErr, queue.ErrNotFound): // a store that begins anew
		return s.records.Create(ctx, key, r)
	case readErr != nil:
		return 0, errors.Join(err, readErr)
	}
	return s.records.Update(ctx, key, r, e.Revision)
}
