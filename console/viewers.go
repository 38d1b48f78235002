package console

import "sync"

const (
	// maxStreams bounds how many pages are open at one time.
	maxStreams = 4000
	// maxStreamsEach bounds those of one person: in as many sessions as they like, as a token makes any number of those. It is
	// far more than a person looks at, and than a wall of screens that share a token has.
	maxStreamsEach = 200
)

// viewers are who has pages open whose changes are sent. Where a person opens one too many their oldest makes way: whoever opens
// a page looks at that one, and tabs that were left open are the oldest.
type viewers struct {
	mu   sync.Mutex
	open int
	of   map[string]*viewer
}

// viewer is a person who has pages open.
type viewer struct {
	places []*place // the oldest first; none that has made way
	open   int      // those that have made way and not ended yet included
}

// place is that of a page that is open.
type place struct {
	person string
	gone   chan struct{} // closed when it has to make way
}

// enter gives a person's page a place, or nil where all are taken.
func (v *viewers) enter(person string) *place {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[string]*viewer{}
	}
	p := v.of[person]
	if p == nil {
		p = &viewer{}
	}
	if v.open >= maxStreams || p.open >= 2*maxStreamsEach { // those that are to make way don't read
		return nil
	}
	if len(p.places) == maxStreamsEach {
		close(p.places[0].gone)
		p.places = p.places[1:]
	}
	at := &place{person, make(chan struct{})}
	p.places = append(p.places, at)
	p.open++
	v.open++
	v.of[person] = p
	return at
}

// leave gives a place back.
func (v *viewers) leave(at *place) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.of[at.person]
	for i, other := range p.places {
		if other == at {
			p.places = append(p.places[:i:i], p.places[i+1:]...)
			break
		}
	}
	v.open--
	if p.open--; p.open == 0 {
		delete(v.of, at.person)
	}
}

// count is how many pages are open.
func (v *viewers) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open
}
