package content

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// longestRest is how many times its back-off a mirror is left alone at most.
const longestRest = 16

// trouble is how a mirror failed last.
type trouble struct {
	reason   string
	failures int
	until    time.Time // it is left alone
}

// health remembers how mirrors fail, by address, from one pull to the next.
type health struct {
	mu sync.Mutex
	of map[string]*trouble
}

// rests tells whether a mirror is left alone now.
func (h *health) rests(url string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.of[url]
	return t != nil && time.Now().Before(t.until)
}

// failed has a mirror left alone for its back-off, twice as long with each failure in a row.
func (h *health) failed(m *messages.Mirror, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.of[m.URL]
	if t == nil {
		t = &trouble{}
		h.of[m.URL] = t
	}
	rest := m.Rest() * time.Duration(min(1<<min(t.failures, 10), longestRest))
	t.failures++
	t.reason, t.until = messages.Shorten(err.Error(), 500), time.Now().Add(rest)
}

// worked forgets how a mirror failed.
func (h *health) worked(url string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, url)
}

// list lists the mirrors that failed last, by address.
func (h *health) list() []messages.MirrorTrouble {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []messages.MirrorTrouble
	for url, t := range h.of {
		out = append(out, messages.MirrorTrouble{Mirror: url, Reason: t.reason})
	}
	slices.SortFunc(out, func(a, b messages.MirrorTrouble) int { return cmp.Compare(a.Mirror, b.Mirror) })
	return out
}
