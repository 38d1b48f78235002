package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
	answer, err := r.c.ask(ctx, "$JS.API.STREAM.INFO."+r.stream(), nil)
	if err != nil {
		return nil, err
	}
	var info struct {
		Error  *jetstream.APIError    `json:"error"`
		Config jetstream.StreamConfig `json:"config"`
	}
	if err := json.Unmarshal(answer.Data, &info); err != nil {
		return nil, fmt.Errorf("reading the answer of stream %s: %w", r.stream(), err)
	}
	if info.Error != nil {
		return nil, classify(info.Error)
	}
	return &expiry{age: info.Config.MaxAge, timers: map[string]*time.Timer{}}, nil
}
