package decide

import (
	"cmp"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// firstIdle is how long the first node behind a mirror may come no further until another is named.
	firstIdle = time.Minute
	// mostFirsts bounds the mirrors that are waited for, as nodes name them.
	mostFirsts = 200
	// longestMirror bounds a mirror's name, likewise.
	longestMirror = 1000
)

// firsts names, for each mirror and image, the one node behind the mirror that fetches the image while no other
// there has it. Of nodes that fail or hang, none is named: where no other is left, nobody waits.
func (s *State) firsts(f *messages.FleetRecord) []messages.First {
	behind := map[string][]string{}
	var mirrors []string
	for _, name := range s.Members {
		n := s.Nodes[name]
		if m := n.Status.Mirror; n.Fresh && m != "" && len(m) <= longestMirror {
			if behind[m] == nil {
				mirrors = append(mirrors, m)
			}
			behind[m] = append(behind[m], name)
		}
	}
	slices.Sort(mirrors)
	var out []messages.First
	for _, m := range mirrors[:min(len(mirrors), mostFirsts)] {
		for _, image := range fetched(f) {
			if node := s.first(f, m, image, behind[m]); node != "" {
				out = append(out, messages.First{Mirror: m, Image: image, Node: node})
			}
		}
	}
	return out
}

// fetched lists the images that many nodes may fetch at a time.
func fetched(f *messages.FleetRecord) []messages.Image {
	var out []messages.Image
	if f.Current.Image != "" {
		out = append(out, f.Current.Image)
	}
	if f.Preload != nil && f.Preload.Image != f.Current.Image {
		out = append(out, f.Preload.Image)
	}
	return out
}

// first is the node behind a mirror that the others wait for with an image, or "" where they need not.
func (s *State) first(f *messages.FleetRecord, mirror string, image messages.Image, behind []string) string {
	if len(behind) < 2 || slices.ContainsFunc(behind, func(name string) bool { return s.Nodes[name].Has(image) }) {
		return ""
	}
	able := slices.DeleteFunc(slices.Clone(behind), func(name string) bool {
		n, at := s.Nodes[name], messages.First{Mirror: mirror, Image: image, Node: name}
		fetches := n.Status.Fetching != nil && n.Status.Fetching.Image == image
		return !n.misses(image) || !mayHave(f, name, image) || n.problem(image) != "" && !fetches || s.Idled[at]
	})
	if len(able) == 0 {
		return ""
	}
	rank := func(name string) int {
		switch {
		case slices.Contains(f.Firsts, messages.First{Mirror: mirror, Image: image, Node: name}):
			return 0
		case f.Turns != nil && f.Turns.Admits(name):
			return 1
		case f.Preload != nil && slices.Contains(f.Preload.Canaries, name):
			return 2
		}
		return 3
	}
	return slices.MinFunc(able, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
}

// mayHave tells whether a node is admitted to an image, whosever turn it is.
func mayHave(f *messages.FleetRecord, name string, image messages.Image) bool {
	return image == f.Current.Image && f.Spread.Admits(name) ||
		f.Preload != nil && image == f.Preload.Image && admits(f.Preload, name)
}

// idling is since when a first node has come no further.
type idling struct {
	bytes int64
	since time.Time
}

// measureFirsts sets which nodes were named first and came no further for too long, while their image is
// wanted.
func (c *Clocks) measureFirsts(s *State, now time.Time) {
	wanted := fetched(&s.Record)
	for at := range c.idled {
		if !slices.Contains(wanted, at.Image) {
			delete(c.idled, at)
		}
	}
	was := c.firsts
	c.firsts = map[messages.First]idling{}
	for _, at := range s.Record.Firsts {
		is, bytes := was[at], s.Nodes[at.Node].fetched()
		n := s.Nodes[at.Node]
		if is.since.IsZero() || bytes != is.bytes || n.healthy() && !s.Record.Turns.Admits(at.Node) {
			is = idling{bytes, now}
		}
		c.firsts[at] = is
		if now.Sub(is.since) >= firstIdle {
			if c.idled == nil {
				c.idled = map[messages.First]bool{}
			}
			c.idled[at] = true
		}
	}
	s.Idled = c.idled
}
