package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// others stands for all names beyond the bound.
const others = "(others)"

const (
	// mostNames bounds how many values a label has that pipelines or fleets give it. Both are few, and configured; what
	// comes through NATS is written by whoever holds a credential there, and a process must not grow by it.
	mostNames = 500
	// keptFor is how long a name that nothing more came of keeps its place from others. So a flood of names takes nobody's,
	// and over the years pipelines may come and go.
	keptFor = 24 * time.Hour
)

// names are the values that a label may have: the first that came, but for those that nothing came of for long once others
// want their places.
type names struct {
	label  string
	counts []counts

	mu   sync.Mutex
	seen map[string]time.Time // when something came of it last
}

// counts are counters or histograms by labels.
type counts interface {
	DeletePartialMatch(labels prometheus.Labels) int
}

// namesOf are the values of a label that these counts have.
func namesOf(label string, all ...counts) *names {
	return &names{label: label, counts: all, seen: map[string]time.Time{}}
}

// bounded is a name that something came of now, or what stands for all others.
func (n *names) bounded(name string) string { return n.place(name, true) }

// still is a name that nothing new came of, or what stands for all others: it takes nobody's place.
func (n *names) still(name string) string { return n.place(name, false) }

func (n *names) place(name string, now bool) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.seen[name]
	switch {
	case known && !now:
		return name
	case !known && len(n.seen) >= mostNames && !(now && n.forget()):
		return others
	}
	n.seen[name] = time.Now()
	return name
}

// forget drops the name that nothing came of the longest, with its counts, if that is long enough.
func (n *names) forget() bool {
	oldest, since, found := "", time.Now().Add(-keptFor), false
	for name, at := range n.seen {
		if !at.After(since) {
			oldest, since, found = name, at, true
		}
	}
	if !found {
		return false
	}
	delete(n.seen, oldest)
	for _, c := range n.counts {
		c.DeletePartialMatch(prometheus.Labels{n.label: oldest})
	}
	return true
}
