package queue

import (
	"context"
	"errors"
	"strings"
)

// errCaughtUp ends a session that reads what is there and no more.
var errCaughtUp = errors.New("caught up")

// userError carries an error of the caller's function out of a session.
type userError struct{ error }

func (e userError) Unwrap() error { return e.error }

func (r *Records[T]) session() session {
	return session{stream: r.stream(), filters: []string{r.subject(r.keys)}, perKey: true}
}

func (r *Records[T]) key(subject string) string {
	return strings.TrimPrefix(subject, r.subject(""))
}

// List reads every record. One that can't be decoded is passed over, and logged.
func (r *Records[T]) List(ctx context.Context) ([]Entry[T], error) {
	for try := 1; ; try++ {
		var out []Entry[T]
		err := r.c.run(ctx, r.session(), func(m stored) error {
			e, err := r.entry(r.key(m.subject), m)
			if err != nil {
				r.c.log.Error().Err(err).Str("bucket", r.bucket).Str("key", e.Key).Msg("record passed over")
			} else if !e.Deleted {
				out = append(out, e)
			}
			return nil
		}, func() error { return errCaughtUp })
		switch {
		case errors.Is(err, errCaughtUp):
			return out, nil
		case !errors.Is(err, errGap) || try == publishTries || ctx.Err() != nil:
			return nil, r.failed("listing", "*", err)
		}
	}
}

// Watch calls fn for every record and then for every change, deletions and expiries
// included, until ctx ends, and returns its cause. It calls caughtUp, if that is not nil,
// whenever everything that was there has been given: at the start and after each
// interruption, where every record is given again and those that went meanwhile are given as
// deleted. Calls come one at a time.
func (r *Records[T]) Watch(ctx context.Context, fn func(Entry[T]), caughtUp func()) error {
	known := map[string]bool{}
	return r.c.retry(ctx, "watching "+r.bucket, func() error {
		seen := map[string]bool{}
		starting := true
		return r.c.run(ctx, r.session(), func(m stored) error {
			e, err := r.entry(r.key(m.subject), m)
			if err != nil {
				r.c.log.Error().Err(err).Str("bucket", r.bucket).Str("key", e.Key).Msg("record passed over")
				return nil
			}
			if e.Deleted {
				if known[e.Key] {
					delete(known, e.Key)
					fn(e)
				}
				return nil
			}
			known[e.Key] = true
			if e.Earlier = starting; starting {
				seen[e.Key] = true
			}
			fn(e)
			return nil
		}, func() error {
			starting = false
			for key := range known {
				if !seen[key] {
					delete(known, key)
					fn(Entry[T]{Key: key, Deleted: true})
				}
			}
			if caughtUp != nil {
				caughtUp()
			}
			return nil
		})
	})
}
