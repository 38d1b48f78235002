package sinks

import (
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
)

// item is an event that waits for a sink.
type item struct {
	stream  string
	stored  queue.Stored
	at      time.Time // by which events of several streams stand in line: when it was stored
	lanes   []string  // of the event
	tries   int
	refused int       // how many of them the sink called it wrong
	after   time.Time // it is tried again then
	sending bool
	refusal string // why the sink calls it wrong
}

// line is what waits for a sink, by the time when it was stored.
type line []*item

func (l line) sort() {
	slices.SortStableFunc(l, func(a, b *item) int { return a.at.Compare(b.at) })
}

// short tells whether more is to be read: little waits beside what fails and what is behind that.
func (l line) short() bool {
	failing := map[string]bool{}
	bytes, others := 0, 0
	for _, it := range l {
		bytes += len(it.stored.Message.Body)
		if it.tries == 0 && !slices.ContainsFunc(it.lanes, func(lane string) bool { return failing[lane] }) {
			others++
			continue
		}
		for _, lane := range it.lanes {
			failing[lane] = true
		}
	}
	return others < lineLeast && len(l) < lineMost && bytes < lineBytes
}

// next is what is sent next, or nil, and when another may be; zero for when something changes. Of what is first in all of its
// lanes it is what was tried least often, so that one that fails again and again keeps no other fleet's waiting. What is stored
// after the horizon waits for what was stored before and is not read yet, as does what is not settled.
func (l line) next(now, horizon time.Time, settles func(stream string, sequence uint64) bool) (best *item, then time.Time) {
	taken := map[string]bool{}
	for _, it := range l {
		if !horizon.IsZero() && it.at.After(horizon) {
			break
		}
		blocked := slices.ContainsFunc(it.lanes, func(lane string) bool { return taken[lane] })
		for _, lane := range it.lanes {
			taken[lane] = true
		}
		switch {
		case blocked, it.sending, !settles(it.stream, it.stored.Sequence):
		case it.after.After(now):
			if then.IsZero() || it.after.Before(then) {
				then = it.after
			}
		case best == nil, it.tries < best.tries:
			best = it
		}
	}
	return best, then
}
