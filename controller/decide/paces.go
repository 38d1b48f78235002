package decide

import (
	"time"
)

// lack is since when a member has lacked the image that soaks.
type lack struct {
	had   bool
	since time.Time // or when it last came further with fetching it; zero where it has the image
	bytes int64     // the most that it had fetched of it
}

// measureLost sets how long members have lacked the image that soaks. A node that says nothing lacks
// nothing, and its time goes on. That of one that may not fetch it yet has not begun, unless it failed
// to.
func (c *Clocks) measureLost(s *State, now time.Time) {
	r := s.rollout(s.Record.Soaking)
	if r == nil {
		c.lost = nil
		return
	}
	if c.lost == nil {
		c.lost = map[string]lack{}
	}
	for _, name := range r.Members {
		n, at := s.Nodes[name], c.lost[name]
		lacks := n.lacks(r.Ready.Image)
		waits := n.problem(r.Ready.Image) == "" && (s.Record.HeldBack(name, n.Status.Mirror, r.Ready.Image) ||
			!(s.Record.Turns.Admits(name) && s.Record.Spread.Admits(name)))
		switch {
		case n.Has(r.Ready.Image):
			at = lack{had: true}
		case lacks && (at.since.IsZero() || waits):
			at.since = now
		case lacks && n.Status.Fetching != nil && n.Status.Fetching.Image == r.Ready.Image && n.Status.Fetching.Bytes > at.bytes:
			at.since, at.bytes = now, n.Status.Fetching.Bytes
		}
		c.lost[name] = at
		if n.Had = at.had; lacks {
			n.Lacked = max(now.Sub(at.since), 1)
		}
		s.Nodes[name] = n
	}
}

// turn is how a node uses its turn to fetch.
type turn struct {
	began, further time.Time
	ended          time.Time // zero while it has its turn
	bytes          int64
	images         int
}

// measureTurns sets how long nodes have had their turns, and waited since the last. Where turns are
// not given, those that may fetch the current image and lack it have theirs.
func (c *Clocks) measureTurns(s *State, now time.Time) {
	if s.Record.Turns == nil && s.Record.Spread == nil {
		c.turns = nil
		return
	}
	if c.turns == nil {
		c.turns = map[string]turn{}
	}
	for _, name := range s.Members {
		n := s.Nodes[name]
		at, known := c.turns[name]
		has := s.Record.Turns.Admits(name)
		if s.Record.Turns == nil {
			has = s.Record.Spread.Admits(name) && n.misses(s.Record.Current.Image)
		}
		switch bytes := n.fetched(); {
		case !has && !known:
			continue
		case !has:
			if at.ended.IsZero() {
				at.ended = now
			}
			n.Waits = max(now.Sub(at.ended), 1)
		case !known || !at.ended.IsZero():
			at = turn{began: now, further: now, bytes: bytes, images: len(n.Status.Images)}
		case bytes > at.bytes || len(n.Status.Images) > at.images:
			at.further = now
			fallthrough
		default:
			at.bytes, at.images = bytes, len(n.Status.Images)
			n.Turn, n.Idle = now.Sub(at.began), now.Sub(at.further)
		}
		c.turns[name] = at
		s.Nodes[name] = n
	}
}

// fetched is how many bytes a node has fetched of what it fetches now.
func (n Node) fetched() int64 {
	switch {
	case n.Status.Fetching != nil:
		return n.Status.Fetching.Bytes
	case n.Status.Work != nil:
		return n.Status.Work.Bytes
	}
	return 0
}

// stall is since when no further member has had the image of the moving rollout.
type stall struct {
	rollout string
	most    int
	since   time.Time
}

// measureStall sets how long the moving rollout has come no further while a newer one waits.
func (c *Clocks) measureStall(s *State, now time.Time) {
	moves, newest := s.rollout(s.Record.Rollout), s.newest()
	if moves == nil || newest == nil || !older(moves, newest) {
		c.stall = stall{}
		return
	}
	present := 0
	for _, name := range moves.Members {
		if s.Nodes[name].Has(moves.Ready.Image) {
			present++
		}
	}
	if c.stall.rollout != moves.ID || present > c.stall.most {
		c.stall = stall{moves.ID, present, now}
	}
	s.Stalled = now.Sub(c.stall.since)
}
