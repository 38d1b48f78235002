package console

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// cellsAtOnce bounds the cells of all pages that are made at one time: four of the largest.
	cellsAtOnce = 4 * maxPerPage
	// cellsEach bounds those of one person's pages that are made or sent at one time.
	cellsEach = 2 * maxPerPage
	// makeWait is how long a page waits for others to be made.
	makeWait = 2 * time.Second
)

// makers bound how many cells are made into pages at one time, and how many of those one person has under way, so that nobody
// who asks for large pages again and again keeps others from theirs.
type makers struct {
	all *semaphore.Weighted

	mu sync.Mutex
	of map[string]*maker
}

// maker is a person who has pages made.
type maker struct {
	cells *semaphore.Weighted
	pages int
}

func newMakers() makers {
	return makers{all: semaphore.NewWeighted(cellsAtOnce), of: map[string]*maker{}}
}

// begin waits until a page of so many cells may be made for a person. Made is to be called when it is made, and sent when it is
// sent. It is not ok where others took too long.
func (m *makers) begin(ctx context.Context, person string, cells int) (made, sent func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	own, weight := m.join(person), int64(min(max(cells, 1), maxPerPage))
	if own.cells.Acquire(ctx, weight) != nil {
		m.leave(person)
		return nil, nil, false
	}
	sent = func() {
		own.cells.Release(weight)
		m.leave(person)
	}
	if m.all.Acquire(ctx, weight) != nil {
		sent()
		return nil, nil, false
	}
	return sync.OnceFunc(func() { m.all.Release(weight) }), sent, true
}

func (m *makers) join(person string) *maker {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.of[person]
	if own == nil {
		own = &maker{cells: semaphore.NewWeighted(cellsEach)}
		m.of[person] = own
	}
	own.pages++
	return own
}

func (m *makers) leave(person string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[person].pages--; m.of[person].pages == 0 {
		delete(m.of, person)
	}
}
