package builds

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// recently is how many writes before it a first sweep looks at, at once: what is not finished is
	// nearly always among them.
	recently = 2000
	// laterMost bounds how many of the records from before that each sweep looks at.
	laterMost = 500
	// floorStep is how many writes have to come before the floor is kept again.
	floorStep = 1000
	// floorKey has the floor, beside the records in their bucket.
	floorKey = "sweep.floor"
)

// sweeps is what sweeps know of the records of builds. A record that is finished stays so, and every
// change of one gets a higher revision: so a sweep reads what was written since the one before, and of all
// others only those that were not finished. The revision up to which every record is finished, the floor, is
// kept for whoever sweeps first after a start. It is but a hint: a lower one costs time.
type sweeps struct {
	mu         sync.Mutex // held by the sweep under way
	begun      bool
	next       uint64 // the first revision that was not read yet
	later      uint64 // of those from before the first sweep, too, up to
	until      uint64 // this one
	floor      uint64 // as it was kept
	unfinished map[string]queue.Entry[messages.BuildRecord]
	broken     map[string]queue.Broken
	dropped    dropping
}

// floors is the bucket of the floor.
func (q *Queue) floor() *queue.Records[string] {
	return queue.NewTexts(q.c, q.c.Space().BuildsBucket(), "sweep.*")
}

// begin finds out where to begin.
func (q *Queue) begin(ctx context.Context) error {
	s := &q.sweeps
	info, err := q.records.Info(ctx)
	if err != nil || s.begun && s.next <= info.Last+1 {
		return err
	}
	s.floor = 0
	e, err := q.floor().Current(ctx, floorKey)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if kept, err := strconv.ParseUint(e.Value, 10, 64); err == nil && kept <= info.Last { // higher, it is of a bucket before this one
		s.floor = kept
	}
	s.later, s.until = s.floor+1, max(s.floor, info.Last-min(info.Last, recently))+1
	s.next = s.until
	s.unfinished, s.broken = map[string]queue.Entry[messages.BuildRecord]{}, map[string]queue.Broken{}
	s.begun = true
	return nil
}

// catchUp reads what was written since the last sweep, and some of what was there before the first.
func (q *Queue) catchUp(ctx context.Context) error {
	s := &q.sweeps
	if err := q.begin(ctx); err != nil {
		return err
	}
	if err := q.read(ctx, &s.next, func(int, uint64) bool { return true }); err != nil {
		return err
	}
	if s.later < s.until {
		err := q.read(ctx, &s.later, func(n int, revision uint64) bool { return n < laterMost && revision < s.until })
		if err != nil {
			return err
		}
	}
	return q.keepFloor(ctx)
}

// whole tells whether all records were read that there are.
func (s *sweeps) whole() bool { return s.later >= s.until }

// read takes in the records from a revision on, as long as more says for how many it were and how far it is.
func (q *Queue) read(ctx context.Context, from *uint64, more func(n int, revision uint64) bool) error {
	s, n := &q.sweeps, 0
	took := func(revision uint64) bool {
		n++
		*from = max(*from, revision+1)
		return more(n, revision)
	}
	return q.records.Since(ctx, *from, func(e queue.Entry[messages.BuildRecord]) bool {
		s.take(e)
		return took(e.Revision)
	}, func(u queue.Broken) bool {
		s.unreadable(q, u)
		return took(u.Revision)
	})
}

// take keeps a record that is not finished.
func (s *sweeps) take(e queue.Entry[messages.BuildRecord]) {
	if known, ok := s.unfinished[e.Key]; ok && known.Revision > e.Revision {
		return
	}
	delete(s.unfinished, e.Key)
	delete(s.broken, e.Key)
	if !e.Value.Finished() {
		s.unfinished[e.Key] = e
	}
}

// unreadable says once of a record that nobody can read it.
func (s *sweeps) unreadable(q *Queue, u queue.Broken) {
	if _, said := s.broken[u.Key]; !said {
		q.c.Logger().Error().Err(u.Err).Str("build", u.Key).Msg("the record of a build can't be read: its request becomes a dead letter, which can be sent again")
	}
	delete(s.unfinished, u.Key)
	s.broken[u.Key] = u
}

// keepFloor keeps the floor where it has risen by much.
func (q *Queue) keepFloor(ctx context.Context) error {
	s := &q.sweeps
	floor := s.next - 1
	if !s.whole() {
		floor = s.later - 1
	}
	for _, e := range s.unfinished {
		floor = min(floor, e.Revision-1)
	}
	if floor < s.floor+floorStep {
		return nil
	}
	_, err := q.floor().Modify(ctx, floorKey, func(kept *string) error {
		if have, err := strconv.ParseUint(*kept, 10, 64); err == nil && have >= floor && have < s.next {
			return queue.ErrUnchanged // another sweep was further
		}
		*kept = strconv.FormatUint(floor, 10)
		return nil
	})
	if err == nil {
		s.floor = floor
	}
	return err
}
