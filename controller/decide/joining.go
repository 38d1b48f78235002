package decide

import (
	"fmt"
	"time"
)

const (
	// settleBeats is how many heartbeat intervals must pass without a join until a fleet has settled, and
	// settleWhile how long at most: a node beats as soon as it starts.
	settleBeats, settleWhile = 3, 10 * time.Second
	// settleMost bounds how often in a row that is waited for, as in some fleets somebody always joins.
	settleMost = 10
)

// joins is when nodes joined.
type joins struct {
	known map[string]bool // members, and nodes that beat; nil before the first look
	last  time.Time       // join, or zero for none that this controller saw
	since time.Time       // when the fleet began to be unsettled; zero where it has settled
	until time.Time       // when it will have settled, if nobody joins; zero where it has
}

// measureJoins sets why the members can't be frozen yet. Members that were there when this controller
// began have joined before.
func (c *Clocks) measureJoins(s *State, now time.Time) {
	first := c.joins.known == nil
	names, longest, joining := map[string]bool{}, time.Duration(0), ""
	for _, name := range s.Members {
		names[name] = true
	}
	for name, n := range s.Nodes {
		longest = max(longest, n.Status.Interval.Std())
		if !names[name] && !s.Retired[name] && n.Fresh && (joining == "" || name < joining) {
			joining = name
		}
	}
	for name := range s.Nodes {
		names[name] = true
	}
	for name := range names {
		if !c.joins.known[name] && (!first || s.New[name]) {
			c.joins.last = now
		}
	}
	c.joins.known = names
	while := min(settleBeats*longest, settleWhile)
	until := c.joins.last.Add(while)
	if c.joins.last.IsZero() || joining == "" && !now.Before(until) {
		c.joins.since, c.joins.until = time.Time{}, time.Time{}
		return
	}
	if c.joins.since.IsZero() {
		c.joins.since = now
	}
	if now.Sub(c.joins.since) >= settleMost*while {
		c.joins.until = time.Time{}
		return
	}
	if joining != "" {
		c.joins.until = time.Time{} // it becomes a member, or the next look sees that it doesn't
		s.Settling = "node " + joining + " is still joining"
		return
	}
	c.joins.until = until
	s.Settling = fmt.Sprintf("nodes are still joining: begins once none has joined for %s", while)
}

// SettlesIn is how long until the fleet will have settled if nobody joins meanwhile, 0 where it has.
func (c *Clocks) SettlesIn(now time.Time) time.Duration {
	if c.joins.until.IsZero() {
		return 0
	}
	return max(c.joins.until.Sub(now), time.Millisecond)
}
