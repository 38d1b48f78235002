package console

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
)

const (
	// readAgain is how often what streams have of something is read at most, however many pages show it.
	readAgain = time.Second
	// readSettled is how long after a change it is still read again: records change before what is told of it is stored.
	readSettled = 5 * time.Second
	// readTime bounds a reading.
	readTime = 5 * time.Second
	// maxReadings bounds what is kept: all is thrown away then.
	maxReadings = 500
)

// unreached is the problem with what can't be read now.
const unreached = "NATS can't be reached"

// reading is what was read of something that no watch has, with why it could not be.
type reading[T any] struct {
	mu      sync.Mutex
	basis   string    // tells states of the records apart that it was read for
	since   time.Time // when that was seen first
	at      time.Time // when it was read last
	version uint64    // rises with each reading, and where none is possible any more
	value   T
	problem string
}

// readings are kept by the name of what they are about, and shared by all pages.
type readings[T any] struct {
	queue    *queue.Client
	versions atomic.Uint64 // rises with each version of any, so that none has one again that was thrown away
	mu       sync.Mutex
	all      map[string]*reading[T]
}

// get is what is known of something: read anew where the records have changed since, by their basis. Where it can't be read what was
// read before stands, and why.
func (r *readings[T]) get(ctx context.Context, name, basis string, read func(context.Context) (T, error)) (value T, problem string, version uint64) {
	r.mu.Lock()
	if len(r.all) >= maxReadings || r.all == nil {
		r.all = map[string]*reading[T]{}
	}
	k := r.all[name]
	if k == nil {
		k = &reading[T]{}
		r.all[name] = k
	}
	r.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.basis != basis {
		k.basis, k.since = basis, now
	}
	settled := k.problem == "" && k.at.Sub(k.since) > readSettled
	switch {
	case settled, now.Sub(k.at) < readAgain && k.at.After(k.since):
	case !r.queue.Connected():
		if k.problem != unreached {
			k.problem = unreached
			k.version = r.versions.Add(1)
		}
	default:
		within, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		v, err := read(within)
		if err != nil && ctx.Err() != nil { // its page is gone, which is nobody else's problem
			break
		}
		k.at, k.problem = now, ""
		if err != nil {
			k.problem = err.Error()
		} else {
			k.value = v
		}
		k.version = r.versions.Add(1)
	}
	return k.value, k.problem, k.version
}

// course is what is known of a rollout beside its record. It is not called while nothing can change.
func (c *Console) course(ctx context.Context, r *messages.RolloutRecord, fleetRevision uint64) (known *overview.Course, problem string, version uint64) {
	basis := fmt.Sprint(r.Updated.UnixNano(), r.State, fleetRevision)
	known, problem, version = c.courses.get(ctx, r.ID, basis, func(ctx context.Context) (*overview.Course, error) { return overview.CourseOf(ctx, c.queue, r) })
	if known == nil {
		known = &overview.Course{}
	}
	return known, problem, version
}
