package console

import (
	"hash/fnv"
	"html/template"
	"sync"
)

// part is an element of a page, by its ID, which is put in place of the one before when it has changed.
type part struct {
	id   string
	html template.HTML
}

// hash tells states of a part apart.
func (p part) hash() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.html))
	return h.Sum64()
}

// partKey names what a part shows, and to whom.
type partKey struct {
	kind, name string
	decides    bool
}

// madePart is a part as it was made from what was seen.
type madePart struct {
	clock uint64
	html  template.HTML
}

// partCache has parts that many pages show, made once for each change.
type partCache struct {
	most int // that are kept: with one more all are thrown away
	mu   sync.Mutex
	made map[partKey]madePart
}

const (
	// maxParts bounds the parts about fleets and builds that are kept.
	maxParts = 10_000
	// maxEndedParts bounds those about builds that have ended: one is up to 100 KB, and there is one for each filter.
	maxEndedParts = 64
)

func newPartCache(most int) partCache { return partCache{most: most, made: map[partKey]madePart{}} }

// get is a part as of a change, made where it was not yet.
func (p *partCache) get(key partKey, clock uint64, make func() template.HTML) template.HTML {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, known := p.made[key]; known && m.clock == clock {
		return m.html
	}
	if len(p.made) >= p.most {
		clear(p.made)
	}
	m := madePart{clock, make()}
	p.made[key] = m
	return m.html
}
