package producer

import (
	"sync"
	"time"
)

// bodyRoom is the memory that larger bodies take together: none of them is verified before it is whole. Where it is short, the
// slowest make way for a faster one, so that who sends little by little keeps nobody out.
type bodyRoom struct {
	mu    sync.Mutex
	free  int64
	taken map[*body]struct{}
	freed chan struct{} // closed, and replaced, when some is given back
}

// roomWait is how long a body waits for those that make way: they only have to notice it.
const roomWait = time.Second

func newBodyRoom(size int64) *bodyRoom {
	return &bodyRoom{free: size, taken: map[*body]struct{}{}, freed: make(chan struct{})}
}

// take has b have size of the room in place of what it has, and tells whether there was so much.
func (r *bodyRoom) take(b *body, size int64) bool {
	var late <-chan time.Time
	for {
		ok, freed := r.tryTake(b, size)
		if ok || freed == nil {
			return ok
		}
		if late == nil {
			timer := time.NewTimer(roomWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-freed:
		case <-late:
			return false
		}
	}
}

// tryTake is take as far as it goes now. freed tells when to try again; it is nil where nobody makes way.
func (r *bodyRoom) tryTake(b *body, size int64) (ok bool, freed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	need := size - b.taken
	if need <= r.free {
		r.free -= need
		b.taken = size
		r.taken[b] = struct{}{}
		return true, nil
	}
	if b.ended || !r.makeWay(b, need-r.free) {
		return false, nil
	}
	return false, r.freed
}

// makeWay ends the slowest bodies until so much more will be free, and tells whether that is so.
func (r *bodyRoom) makeWay(b *body, need int64) bool {
	now := time.Now()
	own := b.rate(now)
	for other := range r.taken {
		if other.ended {
			need -= other.taken
		}
	}
	for need > 0 {
		var slowest *body
		least := own
		for other := range r.taken {
			if rate := other.rate(now); other != b && !other.ended && !other.whole && rate < least {
				slowest, least = other, rate
			}
		}
		if slowest == nil {
			return false
		}
		slowest.ended = true
		slowest.end()
		need -= slowest.taken
	}
	return true
}

// arrived tells how much of b there is.
func (r *bodyRoom) arrived(b *body, n int, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b.got, b.whole = int64(n), whole
}

// endedEarly tells whether b made way for another.
func (r *bodyRoom) endedEarly(b *body) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return b.ended
}

// giveBack gives back all that b has.
func (r *bodyRoom) giveBack(b *body) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.taken[b]; !ok {
		return
	}
	delete(r.taken, b)
	r.free += b.taken
	b.taken = 0
	close(r.freed)
	r.freed = make(chan struct{})
}

// rate is how fast b comes, in bytes a second. What has only begun has its first tenth of a second to show it.
func (b *body) rate(now time.Time) float64 {
	return float64(b.got) / max(now.Sub(b.began), 100*time.Millisecond).Seconds()
}
