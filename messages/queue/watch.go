package queue

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
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

// List reads every record. One that can't be decoded, or is not its key's, is passed over, and logged.
func (r *Records[T]) List(ctx context.Context) ([]Entry[T], error) {
	out, broken, err := r.ListAll(ctx)
	for _, b := range broken {
		r.passedOver(b.Key, b.Revision, b.Err)
	}
	return out, err
}

func (r *Records[T]) passedOver(key string, revision uint64, err error) {
	r.c.passed.add(Broken{Bucket: r.bucket, Key: key, Revision: revision, Err: err})
	r.c.log.Error().Err(err).Str("bucket", r.bucket).Str("key", key).Msg("record passed over")
}

// Broken is a record that can't be read.
type Broken struct {
	Bucket   string
	Key      string
	Revision uint64
	Written  time.Time // by the server's clock
	Err      error
}

// passed is what lists and watches of a client have passed over.
type passed struct {
	mu  sync.Mutex
	all map[[2]string]Broken
}

// drop takes out what can be read now.
func (p *passed) drop(bucket, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, [2]string{bucket, key})
}

// forget takes out what is about to be read again.
func (p *passed) forget(bucket string, which func(key string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.all, func(of [2]string, _ Broken) bool { return of[0] == bucket && which(of[1]) })
}

func (p *passed) add(b Broken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[[2]string]Broken{}
	}
	p.all[[2]string{b.Bucket, b.Key}] = b
}

// PassedOver is what could not be read of what was listed and watched, by bucket and key.
func (c *Client) PassedOver() []Broken {
	c.passed.mu.Lock()
	defer c.passed.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.passed.all), func(a, b Broken) int {
		return cmp.Or(strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.Key, b.Key))
	})
}

// ListAll is List, with what is passed over.
func (r *Records[T]) ListAll(ctx context.Context) ([]Entry[T], []Broken, error) {
	var out []Entry[T]
	var broken []Broken
	all, err := r.list(ctx, r.session(), "*")
	last := map[string]uint64{} // what is changed while it is read comes more than once
	for _, e := range all {
		last[e.Key] = max(last[e.Key], e.Revision)
	}
	for _, e := range all {
		switch {
		case e.Revision != last[e.Key] || e.Deleted:
		case e.err != nil:
			broken = append(broken, Broken{r.bucket, e.Key, e.Revision, e.Created, e.err})
		default:
			out = append(out, e.Entry)
		}
	}
	return out, broken, err
}

// read is an entry, or why it can't be one.
type read[T any] struct {
	Entry[T]
	err error
}

// list gives what a session finds until it has caught up, in order.
func (r *Records[T]) list(ctx context.Context, s session, what string) ([]read[T], error) {
	for try := 1; ; try++ {
		var out []read[T]
		err := r.c.run(ctx, s, func(m Stored) error {
			e, err := r.entry(r.key(m.Subject), m)
			out = append(out, read[T]{e, err})
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

// History lists the values that the bucket still has of a record, oldest first, without deletions and
// what can't be read.
func (r *Records[T]) History(ctx context.Context, key string) ([]Entry[T], error) {
	s := r.session()
	s.filters, s.perKey = []string{r.Subject(key)}, false
	all, err := r.list(ctx, s, key)
	var out []Entry[T]
	for _, e := range all {
		if e.err == nil && !e.Deleted {
			out = append(out, e.Entry)
		}
	}
	return out, err
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
		r.c.passed.forget(r.bucket, func(key string) bool { return matches(r.keys, key) })
		w := &watching[T]{known: known, seen: map[string]bool{}, starting: true, expiry: x, fn: fn}
		return r.c.run(ctx, r.session(), func(m Stored) error {
			e, err := r.entry(r.key(m.Subject), m)
			if err != nil {
				r.passedOver(e.Key, e.Revision, err)
				return nil
			}
			r.c.passed.drop(r.bucket, e.Key)
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
	key := e.Key // and not the entry, which would be held until it expires
	w.expiry.came(key, func() { w.gone(Entry[T]{Key: key, Deleted: true}) })
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
	w.seen = nil
	if f != nil {
		f()
	}
}
