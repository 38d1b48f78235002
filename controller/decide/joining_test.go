package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestMembersAreFrozenOnceTheFleetHasSettled joins nodes one after another, each before the fleet
// has been quiet for long enough.
func TestMembersAreFrozenOnceTheFleetHasSettled(t *testing.T) {
	c := newCrowd(0, nil)
	c.pass(t, 0)
	for _, name := range []string{"n1", "n2", "n3"} {
		c.join(name)
		c.pass(t, 6*time.Second)
		if r := c.Rollouts[0]; len(r.Members) > 0 || !strings.Contains(r.Why, "still joining") {
			t.Fatalf("with %v it is %s: %s; members %v", c.Members, r.State, r.Why, r.Members)
		}
		if in := c.clock.SettlesIn(c.Now); in != 10*time.Second {
			t.Errorf("it settles in %s", in)
		}
	}
	c.pass(t, 10*time.Second)
	if r := c.Rollouts[0]; !slices.Equal(r.Members, []string{"n1", "n2", "n3"}) {
		t.Fatalf("settled, it counts %v: %s", r.Members, r.Why)
	}
}

func TestAFleetThatNeverSettlesIsFrozenInTheEnd(t *testing.T) {
	c := newCrowd(0, nil)
	c.pass(t, 0)
	began := c.Now
	for i := 0; len(c.Rollouts[0].Members) == 0; i++ {
		if c.Now.Sub(began) > 5*time.Minute {
			t.Fatalf("not begun after %s: %s", c.Now.Sub(began), c.Rollouts[0].Why)
		}
		c.join("n" + strings.Repeat("x", i+1))
		c.pass(t, 5*time.Second)
	}
	if waited := c.Now.Sub(began); waited < time.Minute {
		t.Errorf("begun after %s", waited)
	}
}

// TestANodeThatBeatsAndIsNoMemberYetIsWaitedFor holds for a fleet that has long had an image, too.
func TestANodeThatBeatsAndIsNoMemberYetIsWaitedFor(t *testing.T) {
	c := newCrowd(3, nil)
	c.Record.Current = testFleetImage(9)
	c.pass(t, 0)
	c.Rollouts[0].Members = nil
	c.Record.Preload, c.Record.Rollout, c.Rollouts[0].State = nil, "", messages.RolloutWaiting
	c.Nodes["new"] = Node{Fresh: true, Status: messages.NodeStatus{Node: "new", Interval: messages.Duration(time.Second)}}
	c.pass(t, time.Hour)
	if r := c.Rollouts[0]; len(r.Members) > 0 || !strings.Contains(r.Why, "node new is still joining") {
		t.Fatalf("it counts %v: %s", r.Members, r.Why)
	}
}

// TestMembersThatJoinBeforeTheFlipCount keeps an image from a fleet whose later members lack it.
func TestMembersThatJoinBeforeTheFlipCount(t *testing.T) {
	s := fleetOf(1, nil)
	s.settle(t)
	for _, name := range []string{"n1", "n2"} {
		s.Members = append(s.Members, name)
		s.Nodes[name] = Node{Fresh: true, Status: messages.NodeStatus{Node: name, Revision: 1}}
	}
	s.fetch("n0")
	s.settle(t)
	r := &s.Rollouts[0]
	if s.Record.Current.Order == 1 || !slices.Equal(r.Members, []string{"n0", "n1", "n2"}) {
		t.Fatalf("flipped: %v, it counts %v", s.Record.Current.Order == 1, r.Members)
	}
	if got := s.admitted(); len(got) != 3 {
		t.Errorf("%v are admitted", got)
	}
	for range 2 {
		s.fetch(s.Members...)
		s.settle(t)
	}
	if s.Record.Current.Order != 1 {
		t.Errorf("not flipped: %s", r.Why)
	}
}

// TestOneEngineUnderManyNamesCountsOnce says so, as of twins.
func TestOneEngineUnderManyNamesCountsOnce(t *testing.T) {
	s := fleetOf(5, func(p *messages.Policy) { p.QuorumPercent = 60 })
	for i, name := range s.Members {
		n := s.Nodes[name]
		if n.Status.Engine.ID = "own-" + name; i < 4 {
			n.Status.Engine.ID = "one"
		}
		s.Nodes[name] = n
	}
	s.MarkShared()
	for range 4 {
		s.settle(t)
		s.fetch(s.Members...)
	}
	r := s.Rollouts[0]
	if s.Record.Current.Order == 1 || r.Present != 2 {
		t.Fatalf("flipped: %v, %d present", s.Record.Current.Order == 1, r.Present)
	}
	for _, part := range []string{"3 of 5 members", "its engine is that of n0 too"} {
		if !strings.Contains(r.Why, part) {
			t.Errorf("%q does not say %q", r.Why, part)
		}
	}
}
