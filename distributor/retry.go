package distributor

import (
	"math/rand/v2"
	"strings"
	"time"
)

// The bounds of the wait after a failure.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// backoff is the wait after the n-th failure in a row, n from 1: doubling, with a jitter of a
// quarter so that a fleet doesn't come back in step.
func backoff(n int) time.Duration {
	return jitter(min(firstRetry<<min(n-1, 10), lastRetry))
}

// jitter spreads a wait over a quarter more and less.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(max(d/2, 1))
}

// retries remembers what failed, by a key, and when to try it again.
type retries map[string]*retry

// retry is what is remembered of one thing that failed.
type retry struct {
	failures int
	after    time.Time
	told     string // the failure that was reported last
}

// wait is how long to leave it alone; 0 where it may be tried.
func (r retries) wait(key string) time.Duration {
	if e, ok := r[key]; ok {
		return max(0, time.Until(e.after))
	}
	return 0
}

// again lets everything that failed be tried at once.
func (r retries) again() {
	for _, e := range r {
		e.after = time.Time{}
	}
}

// failed notes a failure, and tells whether it is another than the one before. Two that differ in
// numbers alone, such as ports and bytes, are the same.
func (r retries) failed(key, what string) bool {
	e, ok := r[key]
	if !ok {
		e = new(retry)
		r[key] = e
	}
	e.failures++
	e.after = time.Now().Add(backoff(e.failures))
	what = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, what)
	news := e.told != what
	e.told = what
	return news
}

// forgetBut forgets all but the named.
func (r retries) forgetBut(wanted func(key string) bool) {
	for k := range r {
		if !wanted(k) {
			delete(r, k)
		}
	}
}
