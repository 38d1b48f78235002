package invariants

import (
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

// Heartbeats are those that were seen of a bucket that keeps the last of each node alone, in the
// order in which they were stored. The zero value has seen nothing; all methods may be called at once.
type Heartbeats struct {
	mu     sync.Mutex
	bucket time.Time // when it was made
	next   uint64    // the sequence that follows what was seen
	until  time.Time // when the last message that was seen was stored
	last   uint64    // how many of a node the bucket may have stored after that, before it went
	items  []item
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

// Saw takes the message that follows, in a bucket that was made at that time: a heartbeat, or nil
// for anything else. NATS numbers messages without gaps, so that a jump tells of unseen ones; of a
// bucket that a later one has replaced nobody knows how many came last.
func (h *Heartbeats) Saw(bucket time.Time, sequence uint64, stored time.Time, beat *Heartbeat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !bucket.Equal(h.bucket) || sequence < h.next:
		if !h.bucket.IsZero() {
			h.items = append(h.items, item{gap: gap{h.until, h.last}})
		}
		if sequence > 1 {
			h.items = append(h.items, item{gap: gap{h.until, sequence - 1}})
		}
	case sequence > h.next:
		h.items = append(h.items, item{gap: gap{h.until, sequence - h.next}})
	}
	h.bucket, h.next, h.until, h.last = bucket, sequence+1, stored, unknown
	if beat != nil {
		h.items = append(h.items, item{beat: beat})
	}
}

// Ended tells that messages were being seen, and came as they were stored, until their server ended. So
// it has stored one more of each node at most: a node sends the next only when the last is acked, which
// takes as long as it takes to be seen.
func (h *Heartbeats) Ended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = 1
}

// Next is the sequence that follows what was seen of the bucket that was made at that time.
func (h *Heartbeats) Next(bucket time.Time) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !bucket.Equal(h.bucket) {
		return 1
	}
	return h.next
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
	for _, i := range slices.Backward(h.items) {
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
	for n, i := range slices.Backward(h.items) {
		switch {
		case i.beat == nil && i.gap.after.Before(at):
			missing += h.missing(n, node)
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

// missing bounds how many of a node's heartbeats a gap may hide, by the node's own count where one
// process of it sent those before and after.
func (h *Heartbeats) missing(n int, node string) uint64 {
	most := h.items[n].gap.most
	before, after := nearest(slices.Backward(h.items[:n]), node), nearest(slices.All(h.items[n:]), node)
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
