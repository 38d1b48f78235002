package queue

import (
	"context"
	"errors"
)

// errEnough ends a reading that has all that it wanted.
var errEnough = errors.New("enough was read")

// Info is what the server says of the bucket's stream, whose sequences the revisions are.
func (r *Records[T]) Info(ctx context.Context) (StreamInfo, error) { return r.c.Info(ctx, r.stream()) }

// Since gives the records at a revision or above to fn in the order in which they were last written, until it
// returns false, and those that can't be read to broken. It costs what it gives, however many records
// there are below.
func (r *Records[T]) Since(ctx context.Context, revision uint64, fn func(Entry[T]) bool, broken func(Broken) bool) error {
	s := session{stream: r.stream(), filters: []string{r.Subject(r.keys)}, from: max(revision, 1)}
	for try := 1; ; try++ {
		err := r.c.run(ctx, s, func(m Stored) error {
			s.from = m.Sequence + 1
			e, err := r.entry(r.key(m.Subject), m)
			more := true
			switch {
			case err != nil:
				more = broken(Broken{r.bucket, e.Key, e.Revision, e.Created, err})
			case !e.Deleted:
				more = fn(e)
			}
			if !more {
				return errEnough
			}
			return nil
		}, func() error { return errCaughtUp })
		switch {
		case errors.Is(err, errCaughtUp), errors.Is(err, errEnough):
			return nil
		case !errors.Is(err, errGap) || try == publishTries || ctx.Err() != nil:
			return r.failed("reading", "*", err)
		}
	}
}

// Latest lists, of a bucket without history, so many of the records that were written last and that it wants, the oldest
// write first, and those among them that can't be read. It costs what lies between.
func (r *Records[T]) Latest(ctx context.Context, most int, want func(Entry[T]) bool) (out []Entry[T], broken []Broken, err error) {
	info, err := r.Info(ctx)
	if err != nil || info.Messages == 0 {
		return nil, nil, err
	}
	for share := uint64(2); ; share *= 4 {
		out, broken = nil, nil
		at := map[string]int{} // one that is changed meanwhile is given again
		from := info.First
		if back := share * uint64(most) * (info.Last - info.First + 1) / info.Messages / 2; back < info.Last-from {
			from = info.Last - back
		}
		err := r.Since(ctx, from, func(e Entry[T]) bool {
			if !want(e) {
				return true
			}
			if i, again := at[e.Key]; again {
				out[i] = e
				return true
			}
			at[e.Key] = len(out)
			out = append(out, e)
			return true
		}, func(u Broken) bool { broken = append(broken, u); return true })
		if err != nil || len(out) >= most || from == info.First {
			return out[max(0, len(out)-most):], broken, err
		}
	}
}
