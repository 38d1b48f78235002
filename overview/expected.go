package overview

import (
	"cmp"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// typicalMost is how many of a pipeline's last builds say how long one takes.
const typicalMost = 9

// typical is how long builds of each pipeline take: the median of its last ones that made an image. All is the newest first.
func typical(all []Build) map[string]time.Duration {
	took := map[string][]time.Duration{}
	for i := range all {
		b := &all[i]
		if b.Took > 0 && b.State == string(messages.BuildStateSucceeded) && len(took[b.Pipeline]) < typicalMost {
			took[b.Pipeline] = append(took[b.Pipeline], b.Took.Std())
		}
	}
	out := map[string]time.Duration{}
	for pipeline, of := range took {
		slices.Sort(of)
		out[pipeline] = of[len(of)/2]
	}
	return out
}

// slot is a builder's that is taken.
type slot struct{ free time.Time }

// expect says of each queued build which place it has in the queue, and when it is likely to begin, and of each that runs when it
// is likely to end, as far as builds before tell. Builders take requests in their order, whichever pipeline they are of; and
// while any waits every slot is taken, so that there are as many as builds run.
func expect(all []Build, now time.Time) {
	takes := typical(all)
	var slots []*slot
	var queued []*Build
	turns := map[[2]string]time.Time{} // when what a branch has in its turn is likely to have ended
	for i := range all {
		b := &all[i]
		switch {
		case b.State == StateQueued && b.Newer == "":
			queued = append(queued, b)
		case b.State == string(messages.BuildStateRunning) && !b.Waiting && !b.Started.IsZero() && takes[b.Pipeline] > 0:
			b.Expected = later(b.Started.Add(takes[b.Pipeline]), now)
			slots = append(slots, &slot{b.Expected})
			turns[b.line()] = later(b.Expected, turns[b.line()])
		}
	}
	slices.SortFunc(queued, func(a, b *Build) int { return cmp.Compare(a.request, b.request) })
	for n, b := range queued {
		b.Place = n + 1
		if len(slots) == 0 {
			continue
		}
		next := slices.MinFunc(slots, func(a, b *slot) int { return a.free.Compare(b.free) })
		b.Expected = next.free
		if b.inTurn {
			b.Expected = later(b.Expected, turns[b.line()])
		}
		if takes[b.Pipeline] == 0 { // nobody knows when the slot is free again
			slots = slices.DeleteFunc(slots, func(s *slot) bool { return s == next })
			continue
		}
		next.free = b.Expected.Add(takes[b.Pipeline])
		turns[b.line()] = later(next.free, turns[b.line()])
	}
}

// line is what a build stands in line with, where its pipeline has each built in its turn.
func (b *Build) line() [2]string { return [2]string{b.Pipeline, b.Ref} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Until is how long it is until t, for people.
func Until(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d < 5*time.Second:
		return "at any moment"
	case d < time.Minute:
		return "in " + d.Round(time.Second).String()
	case d < time.Hour:
		return "in " + Counted(int(d.Round(time.Minute).Minutes()), "minute")
	default:
		return "in " + Counted(int(d.Round(time.Hour).Hours()), "hour")
	}
}
