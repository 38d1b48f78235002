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
	return session{stream: r.stream(), filters: []string{r.Subject(r.keys)}, perKey: true}
}

func (r *Records[T]) key(subject string) string {
	return strings.TrimPrefix(subject, r.Subject(""))
}

// List reads every record. One that can't be decoded is passed over, and logged.
func (r *Records[T]) List(ctx context.Context) ([]Entry[T], error) {
	return r.ListSaying(ctx, func(string, error) {})
}

// ListSaying is List, and calls broken with the key of each record that can't be decoded, and why. It
// may be called twice with one.
func (r *Records[T]) ListSaying(ctx context.Context, broken func(key string, err error)) ([]Entry[T], error) {
	return r.list(ctx, r.session(), "*", broken)
}

func (r *Records[T]) list(ctx context.Context, s session, what string, broken func(string, error)) ([]Entry[T], error) {
	for try := 1; ; try++ {
		var out []Entry[T]
		err := r.c.run(ctx, s, func(m Stored) error {
			e, err := r.entry(r.key(m.Subject), m)
			if err != nil {
				r.c.log.Error().Err(err).Str("bucket", r.bucket).Str("key", e.Key).Msg("record passed over")
				broken(e.Key, err)
			} else if !e.Deleted {
				out = append(out, e)
			}
			return nil
		}, func() error { return errCaughtUp })
		switch {
		case errors.Is(err, errCaughtUp):
			return out, nil
		case !errors.Is(err, errGap) || try == publishTries || ctx.Err() != nil:
			return nil, r.failed("listing", what, err)
		}
	}
}

// History lists the values that the bucket still has of a record, oldest first, without deletions.
func (r *Records[T]) History(ctx context.Context, key string) ([]Entry[T], error) {
	s := r.session()
	s.filters, s.perKey = []string{r.Subject(key)}, false
	return r.list(ctx, s, key, func(string, error) {})
}

// Changes calls fn for every change from now on, and begin first, and again after each interruption,
// in which changes may have been missed. It goes on until ctx ends, and returns its cause.
func (r *Records[T]) Changes(ctx context.Context, begin func() error, fn func(Entry[T])) error {
	s := session{stream: r.stream(), filters: []string{r.Subject(r.keys)}, newOnly: true}
	return r.c.retry(ctx, "watching "+r.bucket, func() error {
		return r.c.run(ctx, s, func(m Stored) error {
			if e, err := r.entry(r.key(m.Subject), m); err == nil {
				fn(e)
			}
			return nil
		}, begin)
	})
}

// Watch calls fn for every record and then for every change, deletions and expiries
// included, until ctx ends, and returns its cause. It calls caughtUp, if that is not nil,
// whenever everything that was there has been given: at the start and after each
// interruption, where every record is given again and those that went meanwhile are given as
// deleted. Calls come one at a time.
func (r *Records[T]) Watch(ctx context.Context, fn func(Entry[T]), caughtUp func()) error {
	known := map[string]bool{}
	return r.c.retry(ctx, "watching "+r.bucket, func() error {
		x, err := r.expiry(ctx)
		if err != nil {
			return err
		}
		defer x.end()
		w := &watching[T]{known: known, seen: map[string]bool{}, starting: true, expiry: x, fn: fn}
		return r.c.run(ctx, r.session(), func(m Stored) error {
			e, err := r.entry(r.key(m.Subject), m)
			if err != nil {
				r.c.log.Error().Err(err).Str("bucket", r.bucket).Str("key", e.Key).Msg("record passed over")
				return nil
			}
			w.take(e)
			return nil
		}, func() error { w.caughtUp(caughtUp); return nil })
	})
}

// watching is a watch from one interruption to the next.
type watching[T any] struct {
	known    map[string]bool // the keys that were given and not given as deleted, by earlier ones too
	seen     map[string]bool // those of them that were there at the start
	starting bool
	expiry   *expiry // its lock makes calls come one at a time
	fn       func(Entry[T])
}

// take gives what came.
func (w *watching[T]) take(e Entry[T]) {
	w.expiry.mu.Lock()
	defer w.expiry.mu.Unlock()
	if e.Deleted {
		w.gone(e)
		return
	}
	w.known[e.Key] = true
	if e.Earlier = w.starting; w.starting {
		w.seen[e.Key] = true
	}
	w.expiry.came(e.Key, func() { w.gone(Entry[T]{Key: e.Key, Deleted: true}) })
	w.fn(e)
}

// gone gives a record as deleted, once. It is called with the lock held.
func (w *watching[T]) gone(e Entry[T]) {
	w.expiry.went(e.Key)
	if w.known[e.Key] {
		delete(w.known, e.Key)
		w.fn(e)
	}
}

// caughtUp gives as deleted what is not there any more, and then calls f, if that is not nil.
func (w *watching[T]) caughtUp(f func()) {
	w.expiry.mu.Lock()
	defer w.expiry.mu.Unlock()
	w.starting = false
	for key := range w.known {
		if !w.seen[key] {
			w.gone(Entry[T]{Key: key, Deleted: true})
		}
	}
	if f != nil {
		f()
	}
}
