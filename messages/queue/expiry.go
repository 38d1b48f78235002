package queue

import (
	"context"
	"sync"
	"time"
)

// expiry tells which entries of a bucket have expired: the server drops them without a word.
// An entry is taken to have, when the bucket's age has passed by this process's clock since
// it came. That is no earlier than the server drops it.
type expiry struct {
	age time.Duration // 0: entries stay

	mu     sync.Mutex // held during every call of gone, and while an entry is taken in
	timers map[string]*time.Timer
	ended  bool
}

// came notes that an entry is there from now on; gone is called if nothing more comes of its
// key. It is called with mu held.
func (x *expiry) came(key string, gone func()) {
	if x.age == 0 {
		return
	}
	x.went(key)
	var t *time.Timer
	t = time.AfterFunc(x.age, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if !x.ended && x.timers[key] == t {
			delete(x.timers, key)
			gone()
		}
	})
	x.timers[key] = t
}

// went notes that a key has no entry any more. It is called with mu held.
func (x *expiry) went(key string) {
	if t := x.timers[key]; t != nil {
		t.Stop()
		delete(x.timers, key)
	}
}

// end waits for a call of gone and allows no more.
func (x *expiry) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended = true
	for key := range x.timers {
		x.went(key)
	}
}

// expiry begins to measure the bucket's entries.
func (r *Records[T]) expiry(ctx context.Context) (*expiry, error) {
	info, err := r.c.Info(ctx, r.stream())
	if err != nil {
		return nil, err
	}
	return &expiry{age: info.MaxAge, timers: map[string]*time.Timer{}}, nil
}
