package invariants

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lastCount is how many of a node's heartbeats count as its last ones.
const lastCount = 3

// Heartbeat is one that NATS has stored.
type Heartbeat struct {
	Node     string
	Instance string // of the node's process
	Beat     uint64 // counts those that the instance sent, stored or not
	Images   []string
	Stored   time.Time // by NATS's clock
}

// Heartbeats are those that were seen of a bucket that keeps the last of each node alone. The
// zero value has seen nothing; all methods may be called at once.
type Heartbeats struct {
	mu      sync.Mutex
	buckets []*life // in the order in which they were made
	until   time.Time
	known   []item // what all of it comes to, or nil where something was seen since
}

// life is what was seen of a bucket, from when it was made to when another replaced it.
type life struct {
	made time.Time
	seen []message // by sequence
	last uint64    // how many of a node it may have stored after the last that was seen
}

// message is one of a bucket: a heartbeat, or nil for anything else.
type message struct {
	sequence uint64
	stored   time.Time
	beat     *Heartbeat
}

// item is a heartbeat, or a gap in what was seen.
type item struct {
	beat *Heartbeat
	gap  gap
}

// gap is where heartbeats may have been stored that were not seen.
type gap struct {
	after time.Time // none of them was stored before
	most  uint64    // at most so many of a node are missing
}

// unknown is the most of a gap that nothing bounds: as many as make every answer uncertain.
const unknown = uint64(lastCount)

// Saw takes a message of a bucket that was made at that time: a heartbeat, or nil for anything else.
// Several readers may see the same. NATS numbers messages without gaps, so that a number that is missing
// tells of an unseen one; of a bucket that a later one has replaced nobody knows how many came last.
func (h *Heartbeats) Saw(made time.Time, sequence uint64, stored time.Time, beat *Heartbeat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, found := slices.BinarySearchFunc(h.buckets, made, func(l *life, t time.Time) int { return l.made.Compare(t) })
	if !found {
		h.buckets = slices.Insert(h.buckets, n, &life{made: made})
	}
	l := h.buckets[n]
	n, found = slices.BinarySearchFunc(l.seen, sequence, func(m message, s uint64) int { return cmp.Compare(m.sequence, s) })
	if found {
		return
	}
	l.seen, l.last = slices.Insert(l.seen, n, message{sequence, stored, beat}), unknown
	h.known = nil
	if stored.After(h.until) {
		h.until = stored
	}
}

// Ended tells that messages were being seen, and came as they were stored, until their server ended. So
// it has stored one more of each node at most: a node sends the next only when the last is acked, which
// takes as long as it takes to be seen.
func (h *Heartbeats) Ended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.buckets) > 0 {
		h.buckets[len(h.buckets)-1].last = 1
		h.known = nil
	}
}

// items are the heartbeats and the gaps between them, in the order in which they were stored.
func (h *Heartbeats) items() []item {
	if h.known != nil {
		return h.known
	}
	var until time.Time
	for n, l := range h.buckets {
		if n > 0 {
			h.known = append(h.known, item{gap: gap{until, h.buckets[n-1].last}})
		}
		next := uint64(1)
		for _, m := range l.seen {
			if m.sequence > next {
				h.known = append(h.known, item{gap: gap{until, m.sequence - next}})
			}
			if m.beat != nil {
				h.known = append(h.known, item{beat: m.beat})
			}
			next, until = m.sequence+1, m.stored
		}
	}
	return h.known
}

// Until is when the last message that was seen was stored.
func (h *Heartbeats) Until() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until
}

// Last is a node's newest heartbeat, or the zero value.
func (h *Heartbeats) Last(node string) Heartbeat {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range slices.Backward(h.items()) {
		if i.beat != nil && i.beat.Node == node {
			return *i.beat
		}
	}
	return Heartbeat{}
}

// answer is what is known of a node and an image.
type answer int

const (
	no answer = iota
	yes
	unseen // it depends on heartbeats that were not seen
)

// had tells whether one of a node's last heartbeats before a moment had an image.
func (h *Heartbeats) had(node, image string, at time.Time) answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen, missing := 0, uint64(0)
	if !h.until.After(at) {
		missing = unknown
	}
	items := h.items()
	for n, i := range slices.Backward(items) {
		switch {
		case i.beat == nil && i.gap.after.Before(at):
			missing += missed(items, n, node)
		case i.beat == nil || i.beat.Node != node || i.beat.Stored.After(at):
		default:
			seen++
			if slices.Contains(i.beat.Images, image) && uint64(seen)+missing <= lastCount {
				return yes
			}
		}
		if seen == lastCount {
			break
		}
	}
	if missing > 0 {
		return unseen
	}
	return no
}

// missed bounds how many of a node's heartbeats a gap may hide, by the node's own count where one
// process of it sent those before and after.
func missed(items []item, n int, node string) uint64 {
	most := items[n].gap.most
	before, after := nearest(slices.Backward(items[:n]), node), nearest(slices.All(items[n:]), node)
	if before != nil && after != nil && before.Instance == after.Instance {
		return min(most, after.Beat-before.Beat-1)
	}
	return most
}

func nearest(items func(func(int, item) bool), node string) *Heartbeat {
	for _, i := range items {
		if i.beat != nil && i.beat.Node == node {
			return i.beat
		}
	}
	return nil
}
