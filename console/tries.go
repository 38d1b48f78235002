package console

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many sign-ins may be tried from one address. There is no bound for all together: it would let strangers keep people
// out, and nobody guesses 256 bits.
const (
	triesEach    = 10 // at once
	triesEvery   = 5 * time.Second
	maxAddresses = 10_000 // that are remembered: one more isn't counted
)

// tries bounds how often something is tried, such as sign-ins.
type tries struct {
	mu sync.Mutex
	of map[string]*rate.Limiter // by address, or person
}

func newTries() *tries {
	return &tries{of: map[string]*rate.Limiter{}}
}

// allow tells whether another may be tried from an address.
func (t *tries) allow(from string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if len(t.of) >= maxAddresses {
		for address, l := range t.of { // those that have all their tries are as good as forgotten
			if l.TokensAt(now) >= triesEach {
				delete(t.of, address)
			}
		}
	}
	l := t.of[from]
	switch {
	case l != nil:
	case len(t.of) >= maxAddresses:
		return true
	default:
		l = rate.NewLimiter(rate.Every(triesEvery), triesEach)
		t.of[from] = l
	}
	return l.AllowN(now, 1)
}
