package console

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many sign-ins may be tried from one address, or network of IPv6. There is no bound for all together: it would let strangers keep people
// out, and nobody guesses 256 bits.
const (
	triesEach    = 10 // at once
	triesEvery   = 5 * time.Second
	maxAddresses = 10_000 // that are remembered: one more isn't counted
)

// tries bounds how often something is tried, such as sign-ins.
type tries struct {
	mu sync.Mutex
	of map[string]*rate.Limiter // by origin, or person
}

func newTries() *tries {
	return &tries{of: map[string]*rate.Limiter{}}
}

// origin is whose an address is: of IPv6 a network, as one machine may have all of its addresses. What is no address is itself.
func origin(address string) string {
	at, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if at = at.Unmap(); at.Is4() {
		return at.String()
	}
	network, _ := at.Prefix(64) // has no zone, and is never an error
	return network.String()
}

// allow tells whether another may be tried by an origin, or a person.
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
