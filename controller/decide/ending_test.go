package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestARolloutThatIsOverNamesNoMembers keeps how many there were and who failed, also of one that an
// earlier version ended, and counts them anew where a person promotes its image.
func TestARolloutThatIsOverNamesNoMembers(t *testing.T) {
	s := fleetOf(100, func(p *messages.Policy) { p.QuorumPercent, p.Canaries = 50, 1 })
	s.settle(t)
	failed := s.Members[99]
	n := s.Nodes[failed]
	n.Status.Work = &messages.NodeWork{Rollout: "default-b1", Image: testImage(1), State: messages.WorkFailed, Reason: "no space"}
	s.Nodes[failed] = n
	for range 3 {
		s.settle(t)
		s.fetch(slices.DeleteFunc(slices.Clone(s.Members), func(m string) bool { return m == failed })...)
	}
	s.apply()
	s.settle(t)
	r := &s.Rollouts[0]
	if r.State != messages.RolloutDone || len(r.Members) > 0 || r.Counts() != 100 {
		t.Fatalf("it is %s, and counts %d: %v", r.State, r.Counts(), r.Members)
	}
	if AboutRollout(r, 1).Members != 100 {
		t.Errorf("the event counts %d", AboutRollout(r, 1).Members)
	}
	if n := size(r); n > 10_000 {
		t.Errorf("the record has %d bytes", n)
	}
	Back(&s.Record, testFleetImage(0), NewHold("ada", "back", s.Now))
	r.State = messages.RolloutRolledBack
	Forward(&s.Record, testFleetImage(1), 2)
	s.settle(t)
	if r.State != messages.RolloutFlipped || len(r.Members) != 100 || r.MemberCount != 100 {
		t.Errorf("promoted, it is %s and counts %d of %d", r.State, len(r.Members), r.MemberCount)
	}
}

// newer adds a rollout of a newer image.
func (s *State) newer(order uint64) *messages.RolloutRecord {
	r := s.Rollouts[0]
	of := testFleetImage(order)
	r.ID, r.Ready.Build, r.Ready.Order, r.Ready.Image = of.Rollout, of.Build, of.Order, of.Image
	r.Aborted, r.State, r.Why, r.Members, r.Canaries, r.Trials, r.Failed = "", messages.RolloutWaiting, "", nil, nil, nil, nil
	s.Rollouts = append(s.Rollouts, r)
	return &s.Rollouts[len(s.Rollouts)-1]
}

// TestImagesThatComeQuicklyDontStarveTheFleet brings a newer image each time just before the quorum.
func TestImagesThatComeQuicklyDontStarveTheFleet(t *testing.T) {
	s := fleetOf(4, func(p *messages.Policy) { p.Waves = []int{50, 100} })
	for order := uint64(2); order < 12; order++ {
		for range 3 {
			s.settle(t)
			s.fetch(s.Members[:3]...)
		}
		s.settle(t)
		s.newer(order)
		s.settle(t)
		if r := &s.Rollouts[len(s.Rollouts)-1]; s.Record.Preload.Order < order && !strings.Contains(r.Why, "nearly there") {
			t.Errorf("order %d is %s: %s", order, r.State, r.Why)
		}
		s.fetch(s.Members...)
		s.settle(t)
		if s.Record.Current.Order > 0 {
			if last := s.Rollouts[len(s.Rollouts)-1]; s.Record.Rollout != last.ID {
				t.Errorf("the newest does not follow: %+v", s.Record)
			}
			return
		}
	}
	t.Fatal("no image was ever flipped")
}

// TestWhatIsNotFinishedFirst gives way to a newer image at once.
func TestWhatIsNotFinishedFirst(t *testing.T) {
	for name, change := range map[string]func(*State){
		"one in an earlier wave":         func(s *State) { s.Rollouts[0].Policy.Waves = []int{80, 100} },
		"one that comes no further":      func(s *State) { s.Stalled = time.Hour },
		"one that waits for a person":    func(s *State) { s.Rollouts[0].Policy.Approval = true },
		"one of a fleet that is held":    func(s *State) { s.Record.Hold = new(NewHold("ada", "freeze", s.Now)) },
		"one that can't have its quorum": func(s *State) { s.Rollouts[0].Policy.QuorumFloor = 9 },
		"one that is aborted":            func(s *State) { s.Rollouts[0].Aborted = "ada" },
	} {
		t.Run(name, func(t *testing.T) {
			s := fleetOf(4, nil)
			for range 3 {
				s.settle(t)
				s.fetch(s.Members[:3]...)
			}
			change(s)
			s.newer(2)
			s.settle(t)
			if !s.Rollouts[0].State.Final() || s.Record.Rollout != "default-b2" {
				t.Errorf("the older is %s: %s, %s moves", s.Rollouts[0].State, s.Rollouts[0].Why, s.Record.Rollout)
			}
		})
	}
}

// TestAStuckRolloutIsNotFinishedFirstForEver measures how long it comes no further.
func TestAStuckRolloutIsNotFinishedFirstForEver(t *testing.T) {
	c := newCrowd(10, func(p *messages.Policy) { p.Canaries = 0 })
	c.pass(t, 0)
	for _, name := range sortedNames(c.pulls)[:8] {
		c.ends(name)
	}
	c.pass(t, time.Second)
	c.newer(2)
	for range 9 {
		c.pass(t, time.Minute)
	}
	if c.Record.Rollout != "default-b1" {
		t.Fatalf("after nine minutes %s moves", c.Record.Rollout)
	}
	c.pass(t, 2*time.Minute)
	if c.Record.Rollout != "default-b2" || c.Rollouts[0].State != messages.RolloutSuperseded {
		t.Errorf("after its deadline %s moves, the older is %s", c.Record.Rollout, c.Rollouts[0].State)
	}
}

// TestSickCanariesAreReplaced skips nodes whose engine fails, replaces those that have no verdict in
// time, and ends with a reason.
func TestSickCanariesAreReplaced(t *testing.T) {
	c := newCrowd(12, func(p *messages.Policy) { p.QuorumPercent, p.MaxInFlight = 20, 1 })
	for i, name := range c.Members[:6] {
		n := c.Nodes[name]
		n.Status.Engine.Error = fmt.Sprint("connection refused ", i)
		c.Nodes[name] = n
	}
	c.pass(t, 0)
	for tries := 1; tries <= 4; tries++ {
		r := c.Rollouts[0]
		if len(r.Canaries) != tries || slices.Contains(c.Members[:6], r.Canaries[tries-1]) {
			t.Fatalf("after %d deadlines the canaries are %v", tries-1, r.Canaries)
		}
		for _, name := range r.Canaries { // it fetches again and again, in vain
			n := c.Nodes[name]
			n.Status.Problems = []messages.ImageProblem{{Image: testImage(1), Reason: "the registry refuses access"}}
			c.Nodes[name] = n
		}
		for range 11 {
			c.pass(t, time.Minute)
		}
	}
	r := c.Rollouts[0]
	if len(r.Canaries) != 4 || !strings.Contains(r.Why, "no more are chosen") {
		t.Fatalf("the canaries are %v: %s", r.Canaries, r.Why)
	}
	if c.most > 1 {
		t.Errorf("%d fetched at one time", c.most)
	}
}

// TestAnImageThatTooFewCanUseFails ends the rollout with a node's reason, once the others make no quorum.
func TestAnImageThatTooFewCanUseFails(t *testing.T) {
	s := fleetOf(4, func(p *messages.Policy) { p.Canaries, p.QuorumPercent = 0, 50 })
	s.settle(t)
	r := &s.Rollouts[0]
	for i, name := range s.Members[:3] {
		if r.State == messages.RolloutFailed {
			t.Fatalf("it failed with %d who can't use the image: %s", i, r.Why)
		}
		n := s.Nodes[name]
		n.Status.Work = &messages.NodeWork{Rollout: r.ID, State: messages.WorkFailed, Reason: "the engine can't unpack zstd", Unusable: true}
		s.Nodes[name] = n
		s.settle(t)
	}
	for _, want := range []string{"3 of 4 members can't use the image", "2 must have it", "n0: the engine can't unpack zstd"} {
		if r.State != messages.RolloutFailed || !strings.Contains(r.Why, want) {
			t.Errorf("it is %s: %s; want %q", r.State, r.Why, want)
		}
	}
}

// TestARetirementThatIsSeenLate has a rollout count a member that was retired when it was opened: it is dropped
// once that is seen, which is told, and not where the fleet's members are merely not all seen.
func TestARetirementThatIsSeenLate(t *testing.T) {
	s := fleetOf(3, func(p *messages.Policy) { p.Canaries = 1 })
	s.settle(t)
	r := &s.Rollouts[0]
	s.fetch("n0", "n1")
	s.settle(t)
	s.Members = nil // a controller that has just begun, or a bucket that was lost
	s.settle(t)
	if !slices.Equal(r.Members, []string{"n0", "n1", "n2"}) || s.Record.Current.Order != 0 {
		t.Fatalf("it counts %v, and order %d is current", r.Members, s.Record.Current.Order)
	}
	s.Members, s.Retired = []string{"n0", "n1"}, map[string]bool{"n2": true}
	delete(s.Nodes, "n2")
	out := Next(s)
	if out.Rollout == nil || !slices.Equal(out.Rollout.Members, s.Members) || out.Event == nil ||
		out.Event.Why != "counts no more who was retired: n2; 2 members left" || out.Event.Members != 2 || out.Event.State != r.State || out.Rollout.Why != r.Why {
		t.Fatalf("the step is %+v, and told as %+v", out.Rollout, out.Event)
	}
	for range 3 {
		s.settle(t)
		s.fetch("n0", "n1")
	}
	s.settle(t)
	if s.Record.Current.Order != 1 || r.Present != 2 || r.Counts() != 2 {
		t.Errorf("it is %s, with %d of %d: %s", r.State, r.Present, r.Counts(), r.Why)
	}
}

// TestARolloutWhoseMembersWereAllRetired is not flipped by nobody, and counts who joins then.
func TestARolloutWhoseMembersWereAllRetired(t *testing.T) {
	for _, disabled := range []bool{false, true} {
		s := fleetOf(2, func(p *messages.Policy) { p.Trial.Disabled, p.QuorumPercent = disabled, 50 })
		s.settle(t)
		s.Members, s.Retired = nil, map[string]bool{"n0": true, "n1": true}
		s.settle(t)
		r := &s.Rollouts[0]
		if r.State != messages.RolloutWaiting || !strings.Contains(r.Why, "no members") || len(r.Members) > 0 || s.Record.Current.Order != 0 {
			t.Fatalf("it is %s, counts %v, and order %d is current: %s", r.State, r.Members, s.Record.Current.Order, r.Why)
		}
		s.Members = []string{"n2"}
		s.Nodes["n2"] = Node{Fresh: true, Status: messages.NodeStatus{Node: "n2", Revision: 1}}
		s.settle(t)
		s.fetch("n2")
		s.settle(t)
		if s.Record.Current.Order != 1 || r.Present != 1 || r.Counts() != 1 {
			t.Errorf("it is %s, with %d of %d: %s", r.State, r.Present, r.Counts(), r.Why)
		}
	}
}
