package metrics

import "sync"

// others stands for all names beyond the bound.
const others = "(others)"

// mostNames bounds how many values a label has that pipelines or fleets give it. Both are few, and configured; what
// comes through NATS is written by whoever holds a credential there, and a process must not grow by it.
const mostNames = 500

// names are the values that a label may have: the first that were seen.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

// bounded is the name, or what stands for all others.
func (n *names) bounded(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.known[name]:
		return name
	case len(n.known) >= mostNames:
		return others
	case n.known == nil:
		n.known = map[string]bool{}
	}
	n.known[name] = true
	return name
}
