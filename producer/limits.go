package producer

import (
	"math"
	"net/http"
	"sync"
	"time"
)

// bucket is a token bucket that may be overdrawn once: what costs more than it ever holds still passes when it is full.
type bucket struct {
	tokens float64
	at     time.Time // when it had so many
}

// limiter has a bucket for each of many keys.
type limiter struct {
	rate  float64 // tokens a second; 0 for no limit
	burst float64

	mu      sync.Mutex
	buckets map[string]bucket
}

// maxBuckets bounds how many keys are known at one time.
const maxBuckets = 10_000

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, buckets: map[string]bucket{}}
}

// now is the bucket of a key as it has filled up since. What is not known is full.
func (l *limiter) now(key string, now time.Time) bucket {
	b, ok := l.buckets[key]
	if !ok {
		return bucket{l.burst, now}
	}
	return bucket{min(l.burst, b.tokens+max(0, now.Sub(b.at).Seconds())*l.rate), now}
}

// wait is how long it takes until a key has a token again; 0 where it has one.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	if l.rate <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if missing := 1 - l.now(key, now).tokens; missing > 0 {
		return time.Duration(math.Ceil(missing / l.rate * float64(time.Second)))
	}
	return 0
}

// spend takes tokens of a key, whether it has so many or not, and tells whether these were its last.
func (l *limiter) spend(key string, tokens float64, now time.Time) (last bool) {
	if l.rate <= 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.now(key, now)
	last = b.tokens >= 1 && b.tokens-tokens < 1
	b.tokens -= tokens
	if _, known := l.buckets[key]; !known && len(l.buckets) >= maxBuckets {
		l.makeRoom(now)
	}
	l.buckets[key] = b
	return last
}

// makeRoom forgets the keys whose buckets are full again, and as many others as it takes to be rid of half, so that it is
// seldom done.
func (l *limiter) makeRoom(now time.Time) {
	for key := range l.buckets {
		if l.now(key, now).tokens >= l.burst {
			delete(l.buckets, key)
		}
	}
	for key := range l.buckets {
		if len(l.buckets) <= maxBuckets/2 {
			return
		}
		delete(l.buckets, key)
	}
}

const (
	// DefaultRepositoryLimit is how many builds a second may be asked for of one repository in the long run.
	DefaultRepositoryLimit = 20
	// repositoryBurst is for how many seconds' worth of it at once: all that one push can ask for.
	repositoryBurst = maxRequests / DefaultRepositoryLimit
	// An address may send failuresBurst requests whose signature or token is wrong, and one more each second.
	failuresRate  = 1
	failuresBurst = 100
	// trustedFor is how long an address from which something right came is not refused for what is wrong: behind one
	// address of a forge there are all of its users.
	trustedFor = time.Hour
)

// tooMany is the answer to who has to wait before anything is stored. It is never less than a second.
func tooMany(wait time.Duration, format string, args ...any) *refusal {
	return refuse(http.StatusTooManyRequests, format, args...).after(max(wait.Truncate(time.Second)+time.Second, time.Second))
}

// crowded refuses a delivery of a repository of which more was asked for than its share. Nothing of it is stored then.
func (p *Producer) crowded(d *delivery, pipelines []*declared) *refusal {
	if len(d.events) == 0 || p.repositories.rate <= 0 {
		return nil
	}
	e := event{repositories: d.events[0].repositories, hostless: d.events[0].hostless} // a delivery is of one repository
	for _, of := range e.of(pipelines) {
		if wait := p.repositories.wait(string(of.place), p.now()); wait > 0 {
			return tooMany(wait, "more builds of this repository were asked for than %g a second: nothing of this webhook is stored; send it again", p.repositories.rate)
		}
	}
	return nil
}

// addresses counts, by whom they are from, requests that nothing shows to be of a known sender.
type addresses struct {
	failures *limiter

	mu    sync.Mutex
	known map[string]time.Time // addresses from which something right came, and when
}

func newAddresses() *addresses {
	return &addresses{failures: newLimiter(failuresRate, failuresBurst), known: map[string]time.Time{}}
}

// refused tells how long an address has to wait.
func (s *addresses) refused(from string, now time.Time) time.Duration {
	wait := s.failures.wait(from, now)
	if wait == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.known[from]) < trustedFor {
		return 0
	}
	return wait
}

// right tells that something right came from an address.
func (s *addresses) right(from string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known[from]; !ok && len(s.known) >= maxBuckets {
		for address := range s.known {
			if len(s.known) <= maxBuckets/2 {
				break
			}
			delete(s.known, address)
		}
	}
	s.known[from] = now
}

// guarded has addresses that send nothing but what is wrongly signed wait, before anything is read of what they send.
func (p *Producer) guarded(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from := origin(r.RemoteAddr)
		if wait := p.addresses.refused(from, p.now()); wait > 0 {
			w.Header().Set("Connection", "close") // the body is not worth reading
			tooMany(wait, "too many requests with a wrong signature or token came from this address: look at the webhook's secret, and send it again later").write(w)
			return
		}
		serve(w, r)
		switch n := noteOf(r.Context()); {
		case n.status == http.StatusUnauthorized:
			if p.addresses.failures.spend(from, 1, p.now()) {
				p.log.Warn().Str("from", from).Msg("too many requests with a wrong signature or token come from this address: it has to wait, and is not logged meanwhile")
			}
		case n.known:
			p.addresses.right(from, p.now())
		}
	}
}
