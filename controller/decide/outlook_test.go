package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestAForeseenRolloutGoesAsForeseen: what is foreseen of waves is what nodes are then admitted by, and a fleet without
// obstacles flips.
func TestAForeseenRolloutGoesAsForeseen(t *testing.T) {
	for _, members := range []int{1, 2, 3, 7, 100} {
		for _, waves := range [][]int{{100}, {1, 100}, {10, 25, 50, 100}} {
			for _, canaries := range []int{0, 1, 3} {
				what := fmt.Sprintf("%d members, waves %v, %d canaries", members, waves, canaries)
				s := fleetOf(members, func(p *messages.Policy) { p.Waves, p.Canaries = waves, canaries })
				o := Foresee(s, &s.Rollouts[0].Policy, 1, nil)
				if len(o.Obstacles) > 0 || o.Members != members || o.Needed != members {
					t.Fatalf("%s: %+v", what, o)
				}
				var seen []int
				for range members + 1 {
					s.settle(t)
					n := len(s.admitted())
					if s.Record.Preload == nil {
						break
					}
					if len(seen) == 0 || seen[len(seen)-1] != n {
						seen = append(seen, n)
					}
					s.fetch(s.admitted()...)
				}
				if s.Record.Current.Image != testImage(1) {
					t.Errorf("%s: it was not flipped: %+v", what, s.Rollouts[0])
				}
				want := o.Waves
				if o.Canaries > 0 {
					want = append([]int{o.Canaries}, want...)
				}
				if want = slices.Compact(want); !slices.Equal(seen, want) {
					t.Errorf("%s: admitted %v, foreseen %v", what, seen, want)
				}
			}
		}
	}
}

// TestForeseenObstacles: each is found, and keeps such a rollout from its flip.
func TestForeseenObstacles(t *testing.T) {
	change := func(s *State, name string, f func(*Node)) {
		n := s.Nodes[name]
		f(&n)
		s.Nodes[name] = n
	}
	for name, c := range map[string]struct {
		set  func(*State)
		kind ObstacleKind
		why  string
	}{
		"no members":        {func(s *State) { s.Members = nil }, ObstacleMembers, "start a distributor"},
		"a silent node":     {func(s *State) { delete(s.Nodes, "n1") }, ObstacleQuorum, "10 of 10 members must have the image, and 9 could: n1 would not count"},
		"a stopped node":    {func(s *State) { change(s, "n1", func(n *Node) { n.Fresh = false }) }, ObstacleQuorum, "n1"},
		"a twin":            {func(s *State) { change(s, "n1", func(n *Node) { n.Fresh, n.Twin = false, true }) }, ObstacleQuorum, "n1"},
		"a dead engine":     {func(s *State) { change(s, "n1", func(n *Node) { n.Status.Engine.Error = "gone" }) }, ObstacleQuorum, "n1"},
		"a floor too high":  {func(s *State) { s.Rollouts[0].Policy.QuorumFloor = 11 }, ObstacleQuorum, "lower quorum_floor"},
		"approval":          {func(s *State) { s.Rollouts[0].Policy.Approval = true }, ObstacleApproval, "fenceline approve"},
		"a hold":            {func(s *State) { s.Record.Hold = &messages.Hold{By: "anna", Reason: "freeze"} }, ObstacleHold, "held by anna (freeze)"},
		"an order too high": {func(s *State) { s.Record.Highest = 5 }, ObstacleOrder, "fenceline fleets order"},
		"nobody to try": {func(s *State) {
			s.Rollouts[0].Policy.QuorumPercent, s.Nodes = 1, map[string]Node{}
			s.Rollouts[0].Policy.QuorumFloor = 1
		}, ObstacleCanaries, "1 canary must try the image, and 0 members could"},
		"a soak": {func(s *State) {
			s.Record.Soaking, s.Record.Current = "default-b0", testFleetImage(0)
			soaking := s.Rollouts[0]
			soaking.ID, soaking.State, soaking.Policy.Soak = "default-b0", messages.RolloutSoaking, messages.Duration(time.Hour)
			s.Rollouts, s.Record.Current.Rollout, s.Soaked = append(s.Rollouts, soaking), "default-b0", 20*time.Minute
			s.hold(testImage(0))
		}, ObstacleSoak, "default-b0 soaks, for another 40m0s"},
		"nobody says what it applies": {func(s *State) {
			s.Rollouts[0].Policy.Apply = &messages.ApplyPolicy{QuorumPercent: 100, Deadline: messages.Duration(time.Minute)}
		}, ObstacleApply, "must apply it"},
	} {
		s := fleetOf(10, nil)
		c.set(s)
		o := Foresee(s, &s.Rollouts[0].Policy, 1, nil)
		if !slices.ContainsFunc(o.Obstacles, func(o Obstacle) bool { return o.Kind == c.kind && strings.Contains(o.Why, c.why) }) {
			t.Errorf("%s: %+v", name, o)
		}
		dead := func(name string) bool { return s.Nodes[name].Status.Engine.Error != "" }
		for range 4 {
			s.settle(t)
			s.fetch(slices.DeleteFunc(s.admitted(), dead)...)
		}
		if s.Record.Current.Image == testImage(1) {
			t.Errorf("%s: it was flipped all the same", name)
		}
	}
	s := fleetOf(10, nil)
	o := Foresee(s, &s.Rollouts[0].Policy, 1, map[string]string{"n3": "no room"})
	if len(o.Obstacles) != 1 || o.Absent["n3"] != "no room" || o.Obstacles[0].Kind != ObstacleQuorum {
		t.Errorf("without room: %+v", o)
	}
	change(s, "n2", func(n *Node) {
		n.Status.Images = []messages.PresentImage{{Image: testImage(0), LocalOnly: true}}
	})
	if o := Foresee(s, &s.Rollouts[0].Policy, 1, nil); !strings.Contains(o.Absent["n2"], "reference: local") {
		t.Errorf("an old engine: %+v", o)
	}
	if s.Rollouts[0].Policy.Reference = messages.ReferenceLocal; len(Foresee(s, &s.Rollouts[0].Policy, 1, nil).Obstacles) > 0 {
		t.Error("an old engine, by local name, is in the way")
	}
}
