package statuses

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/statuses/target"
)

const (
	// pauseMost bounds the pause before a forge is asked again that was not reached, rightsMost that of a token that was refused.
	pauseMost, rightsMost = time.Minute, 10 * time.Minute
	// awayMost bounds how long a forge may ask to be left alone.
	awayMost = time.Hour
	// hintGrows is how often the time doubles after which a hint comes again: to two minutes.
	hintGrows = 7
	// mostWaiting is how many commits wait for a forge until the messages that tell of others are taken off the queue.
	mostWaiting = 100
	// githubPace is the least time between two statuses at GitHub, whose limits ask for no more than one write a second.
	githubPace = time.Second
)

// forge is what waits to be told to one forge. One status is told at a time, each as it is then, so that a later one is
// never before an earlier one.
type forge struct {
	w    *Worker
	name string // its address
	pace time.Duration

	mu       sync.Mutex
	waiting  map[string]*item // by what is told, a commit of a pipeline
	wake     chan struct{}    // tells the loop that there is more
	until    time.Time        // when the forge is asked again
	failures int              // calls in a row that it didn't take

	bases map[string]http.RoundTripper // by file of certificate authorities; of the loop alone
}

// item is a commit whose status waits.
type item struct {
	about
	key      string
	since    time.Time
	after    time.Time // when it may be told
	attempts int       // that the forge refused; of the loop alone
	request  uint64    // sequence of the request of its build
	version  uint64    // counts what was added
	owed     uint64    // the revision of its record among those that are owed; 0 for none
}

func newForge(w *Worker, t target.Target) *forge {
	f := &forge{w: w, name: t.URL, waiting: map[string]*item{}, wake: make(chan struct{}, 1), bases: map[string]http.RoundTripper{}}
	if t.API() == "https://api.github.com" {
		f.pace = githubPace
	}
	return f
}

// add has a commit told, and returns when to see whether it was. Of several builds of it the last one asked for counts. Owed is the
// revision of its record among those that are owed; 0 where the hint comes again.
func (f *forge) add(key string, a about, deliveries int, request, owed uint64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.waiting[key]
	if it == nil {
		it = &item{key: key, since: time.Now()}
		f.waiting[key] = it
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	if request >= it.request {
		it.about, it.request = a, request
	}
	it.version++
	it.owed = max(it.owed, owed)
	again := hintFirst << min(max(deliveries-1, 0), hintGrows)
	return again + rand.N(again/2+1)
}

// run tells one status after the other until ctx ends. What is left then comes again with its hint.
func (f *forge) run(ctx context.Context) error {
	defer f.clear()
	for {
		it, a, version, wait := f.next()
		if it == nil {
			if err := f.sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if err := f.handle(ctx, turn{it, version}, a); err != nil {
			return err
		}
		if f.pace > 0 {
			if err := pause(ctx, f.pace); err != nil {
				return err
			}
		}
	}
}

// next is what may be told now, the oldest first, or how long there is nothing; 0 for until more comes.
func (f *forge) next() (it *item, a about, version uint64, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first *item
	var earliest time.Time
	for _, it := range f.waiting {
		at := slices.MaxFunc([]time.Time{f.until, it.after}, time.Time.Compare)
		if first == nil || cmp.Or(at.Compare(earliest), it.since.Compare(first.since)) < 0 {
			first, earliest = it, at
		}
	}
	switch {
	case first == nil:
		return nil, about{}, 0, 0
	case time.Now().Before(earliest):
		return nil, about{}, 0, max(time.Until(earliest), time.Millisecond)
	}
	return first, first.about, first.version, 0
}

// sleep waits for more, or for a time to be over.
func (f *forge) sleep(ctx context.Context, d time.Duration) error {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(min(d, tokenLook))
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.wake:
	case <-over:
		f.tokensChanged()
	}
	return nil
}

// turn is an item as it is told of now.
type turn struct {
	*item
	version uint64
}

// done takes a commit out of what waits, unless something was added since its turn began.
func (f *forge) done(ctx context.Context, it turn) {
	f.mu.Lock()
	if it.item.version != it.version {
		f.mu.Unlock()
		return
	}
	delete(f.waiting, it.key)
	owed := it.owed
	f.mu.Unlock()
	f.w.settled(ctx, it.key, owed)
}

// later keeps a commit for a later time.
func (f *forge) later(it turn, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it.after = time.Now().Add(d)
}

// away keeps everything for later, and longer each time; for at least as long as the forge asks to be left alone.
func (f *forge) away(asked time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures++
	d := grown(f.w.Pause, f.failures, pauseMost)
	d = max(d, min(asked, awayMost))
	f.until = time.Now().Add(d)
	return d
}

// behind tells whether the forge takes less than there is to tell it.
func (f *forge) behind() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures > 0 || len(f.waiting) > mostWaiting
}

// back tells that the forge answers.
func (f *forge) back() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures, f.until = 0, time.Time{}
}

func (f *forge) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.waiting)
}

// grown is the pause before the try after so many: doubling, bounded, and spread by a quarter.
func grown(first time.Duration, tries int, most time.Duration) time.Duration {
	d := min(first<<min(max(tries-1, 0), 20), most)
	return d - rand.N(d/4+1)
}

// pause waits, or returns ctx's cause.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
