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
	s.problem, s.dirty = s.record.Problem, s.record.Unnamed
	for stream, at := range s.record.Streams {
		r := &reading{next: at.Read, until: at.Read, left: map[uint64]bool{}, last: at.Last}
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
			s.reading[stream] = s.from(end + 1)
		}
	}
	s.dirty = true
	return nil
}

// from is a stream that is read from a sequence on, of which nothing is stored yet.
func (s *sink) from(next uint64) *reading { return &reading{next: next, last: s.tail.time()} }

// stale tells whether what is written down is not how it is, or is so old that its bucket may forget it.
func (s *sink) stale() bool { return s.dirty || time.Since(s.record.Written) >= s.w.Refresh }

// save writes down how far the sink is, where that has changed.
func (s *sink) save(ctx context.Context) error {
	if s.writing {
		_ = s.wrote(<-s.writes) // what failed is written here
	}
	if !s.stale() {
		return nil
	}
	revision, err := s.put(ctx, s.snapshot(), s.revision)
	return s.wrote(written{revision, err})
}

// written is how a write went.
type written struct {
	revision uint64
	err      error
}

// write begins to write down how far the sink is, where that has changed. Meanwhile more is sent.
func (s *sink) write(ctx context.Context) {
	if s.writing || !s.stale() {
		return
	}
	r, revision := s.snapshot(), s.revision
	s.writing = true
	go func() {
		var w written
		w.err = s.insist(ctx, func(ctx context.Context) (err error) {
			w.revision, err = s.put(ctx, r, revision)
			return err
		})
		s.writes <- w
	}()
}

// wrote takes in how a write went.
func (s *sink) wrote(w written) error {
	s.writing, s.noted = false, 0
	if w.err != nil {
		s.dirty = true
		return w.err
	}
	s.revision = w.revision
	return nil
}

// snapshot is the record of how far the sink is now.
func (s *sink) snapshot() messages.SinkRecord {
	r := s.record
	r.Unnamed, r.Next = false, time.Time{}
	if s.failures > 0 {
		r.Next = s.pause.UTC()
	}
	r.Streams, r.Waiting, r.Oldest, r.Problem, r.Written = map[string]messages.SinkAt{}, s.waiting(), time.Time{}, s.problem, time.Now().UTC()
	for stream, reading := range s.reading {
		at := messages.SinkAt{Read: max(reading.next, reading.until), Last: reading.last}
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
	s.record, s.dirty, s.noted, s.unnoted = r, false, s.unnoted, 0
	return r
}

// put writes the record over a revision.
func (s *sink) put(ctx context.Context, r messages.SinkRecord, revision uint64) (uint64, error) {
	written, err := s.putOver(ctx, r, revision)
	if err != nil {
		return 0, fmt.Errorf("writing down how far sink %s is: %w", s.Name, err)
	}
	return written, nil
}

func (s *sink) putOver(ctx context.Context, r messages.SinkRecord, revision uint64) (uint64, error) {
	key := messages.SinkKey(s.Name)
	write := s.records.Update
	if revision == 0 {
		write = func(ctx context.Context, key string, r messages.SinkRecord, _ uint64) (uint64, error) {
			return s.records.Create(ctx, key, r)
		}
	}
	written, err := write(ctx, key, r, revision)
	if !errors.Is(err, queue.ErrMoved) && !errors.Is(err, queue.ErrExists) {
		return written, err
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
