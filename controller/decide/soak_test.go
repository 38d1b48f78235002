package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func TestWhatCountsAsAFailureInASoak(t *testing.T) {
	gone := func(n *Node) { n.Status.Images = []messages.PresentImage{{Image: testImage(9)}} }
	for _, c := range []struct {
		name   string
		change func(*Node)
		fails  bool
	}{
		{"the image is gone", gone, true},
		{"its heartbeats stop", func(n *Node) { n.Fresh = false }, false},
		{"its engine does not answer", func(n *Node) { gone(n); n.Status.Engine.Error = "connection refused" }, false},
		{"its distributor starts again and has not read the record", func(n *Node) { gone(n); n.Status.Revision = 0 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(2, func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) })
			for range 3 {
				s.settle(t)
				s.fetch(s.Members...)
			}
			s.apply()
			s.Record.Previous = messages.FleetImage{Image: testImage(9), Rollout: "default-b0"}
			s.hold(testImage(9))
			s.settle(t)
			if s.Rollouts[0].State != messages.RolloutSoaking {
				t.Fatalf("the rollout is %s: %s", s.Rollouts[0].State, s.Rollouts[0].Why)
			}
			s.Rollouts[0].Policy.SoakGrace = messages.Duration(time.Minute)
			clock := &Clocks{}
			clock.Measure(s, s.Now)
			n := s.Nodes["n1"]
			c.change(&n)
			s.Nodes["n1"] = n
			for _, later := range []time.Duration{0, time.Minute} {
				clock.Measure(s, s.Now.Add(later))
				if later == 0 {
					s.settle(t)
					if s.Record.Soaking == "" {
						t.Fatalf("it failed without a grace: %s", s.Rollouts[0].Why)
					}
				}
			}
			s.settle(t)
			if failed := s.Record.Soaking == ""; failed != c.fails {
				t.Fatalf("the soak failed: %v; the rollout is %s: %s", failed, s.Rollouts[0].State, s.Rollouts[0].Why)
			}
			if c.fails {
				if s.Record.Current.Image != testImage(9) || s.Record.Hold == nil || s.Rollouts[0].State != messages.RolloutRolledBack {
					t.Fatalf("the record is %+v, the rollout %s", s.Record, s.Rollouts[0].State)
				}
				return
			}
			s.Soaked = time.Hour
			s.settle(t)
			if s.Record.Soaking != "" || s.Rollouts[0].State != messages.RolloutDone {
				t.Fatalf("after its time the rollout is %s", s.Rollouts[0].State)
			}
		})
	}
}

// soaking is a fleet of two nodes whose image of order 2 soaks, after that of order 1.
func soaking(t *testing.T) *State {
	t.Helper()
	s := fleetOf(2, func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) })
	r, of := &s.Rollouts[0], testFleetImage(2)
	r.ID, r.Ready.Build, r.Ready.Order, r.Ready.Image = of.Rollout, of.Build, of.Order, of.Image
	Forward(&s.Record, testFleetImage(1), 2)
	for range 3 {
		s.settle(t)
		s.fetch(s.Members...)
	}
	s.apply()
	s.hold(testImage(1))
	s.settle(t)
	if r.State != messages.RolloutSoaking {
		t.Fatalf("the rollout is %s: %s", r.State, r.Why)
	}
	return s
}

// TestASoakOfAnEarlierVersionOutlivesARetirement has a rollout that was flipped without a note of how many it
// counted, as by a controller of before the upgrade. Some members lacked the image then; retired are those that lack it, or
// those that have it.
func TestASoakOfAnEarlierVersionOutlivesARetirement(t *testing.T) {
	for name, c := range map[string]struct {
		members, present int
		lacks, retired   []string
		fails            bool
		taken            bool // out of the record, by a command of the earlier version
	}{
		"who lacked it":                           {members: 4, present: 3, lacks: []string{"n3"}, retired: []string{"n3"}},
		"who had it":                              {members: 4, present: 3, lacks: []string{"n3"}, retired: []string{"n0"}},
		"who had it, by a command of before":      {members: 4, present: 4, retired: []string{"n0", "n1"}, taken: true},
		"who had it, and one more lacks it since": {members: 4, present: 3, lacks: []string{"n2", "n3"}, retired: []string{"n0"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := fleetOf(c.members, func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) })
			r := &s.Rollouts[0]
			r.State, r.Members, r.Present, r.FlippedAt = messages.RolloutSoaking, slices.Clone(s.Members), c.present, s.Now
			for _, name := range c.lacks {
				n := s.Nodes[name]
				n.Lacked = time.Hour
				s.Nodes[name] = n
			}
			gone := func(n string) bool { return slices.Contains(c.retired, n) }
			if c.taken {
				r.Members = slices.DeleteFunc(r.Members, gone)
			}
			RemoveNodes(r, gone)
			if why := s.soakFailure(r); (why != "") != c.fails {
				t.Errorf("its soak fails: %q", why)
			}
		})
	}
}

func TestAFailedSoakThatDoesNotGoBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*messages.FleetRecord)
		holds  string // by whom
		says   string
	}{
		{"somebody else has set the fence config", func(r *messages.FleetRecord) {
			h := NewHold("ada", "I try something", time.Time{})
			r.Applied.Value, r.Applied.Error, r.Hold = "somebody/else", "set by somebody else", &h
		}, "ada", `set to "somebody/else" by somebody else`},
		{"too few have the image before", func(*messages.FleetRecord) {}, "fenceline", "not rolled back, as 0 of 2 members have the image before, 2 must"},
		{"there is no image to go back to", func(r *messages.FleetRecord) { r.Previous = messages.FleetImage{} }, "fenceline", "no earlier image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := soaking(t)
			c.change(&s.Record)
			for _, name := range s.Members {
				n := s.Nodes[name]
				n.Status.Images, n.Had, n.Lacked = nil, true, time.Hour
				s.Nodes[name] = n
			}
			epoch := s.Record.Epoch
			s.settle(t)
			r := &s.Rollouts[0]
			if r.State != messages.RolloutFailed || !strings.Contains(r.Why, "the image is gone") || !strings.Contains(r.Why, c.says) {
				t.Errorf("the rollout is %s: %s", r.State, r.Why)
			}
			if h := s.Record.Hold; h == nil || h.By != c.holds || s.Record.Epoch != epoch || s.Record.Soaking != "" {
				t.Errorf("the record is %+v with hold %+v", s.Record, h)
			}
			s.Record.Hold = nil
			s.apply()
			s.settle(t)
			if r.State != messages.RolloutFailed || s.Record.Hold != nil {
				t.Errorf("released, the rollout is %s, the hold %+v", r.State, s.Record.Hold)
			}
			s.Record.Previous = testFleetImage(1)
			Back(&s.Record, testFleetImage(1), NewHold("ada", "back", time.Time{}))
			s.settle(t)
			Forward(&s.Record, testFleetImage(2), 2)
			s.settle(t)
			if r.State != messages.RolloutFlipped {
				t.Errorf("promoted again, the rollout is %s", r.State)
			}
		})
	}
}

// TestASoakGoesBackWhereThatWinsSomething has five nodes, all of which the quorum asks for, and one that
// lacks the image before or is silent.
func TestASoakGoesBackWhereThatWinsSomething(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *State, n *Node) // for the node n0
		fails  func(s *State)
		back   bool
	}{
		{"a prune took both from one", func(_ *State, n *Node) { n.Status.Images = nil }, func(*State) {}, false},
		{"one is silent, all others lost the image", func(_ *State, n *Node) { n.Fresh = false }, func(s *State) {
			for _, name := range s.Members[1:] {
				n := s.Nodes[name]
				n.Status.Images = []messages.PresentImage{{Image: testImage(9)}}
				s.Nodes[name] = n
			}
		}, true},
		{"one lacks the image before, the trial failed", func(_ *State, n *Node) {
			n.Status.Images = []messages.PresentImage{{Image: testImage(1)}}
		}, func(s *State) {
			s.Rollouts[0].Trials = map[string]messages.TrialResult{"n1": {Reason: "status 1"}}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(5, func(p *messages.Policy) { p.Soak, p.SoakFailures = messages.Duration(time.Hour), new(0) })
			for range 3 {
				s.settle(t)
				s.fetch(s.Members...)
			}
			s.apply()
			s.settle(t)
			s.Record.Previous = messages.FleetImage{Image: testImage(9)}
			s.hold(testImage(9))
			n := s.Nodes["n0"]
			c.change(s, &n)
			s.Nodes["n0"] = n
			c.fails(s)
			for name, n := range s.Nodes {
				if n.lacks(testImage(1)) {
					n.Had, n.Lacked = true, time.Hour
					s.Nodes[name] = n
				}
			}
			s.settle(t)
			if back := s.Record.Current.Image == testImage(9); back != c.back || s.Record.Hold == nil {
				t.Errorf("went back: %v; %s: %s; hold %+v", back, s.Rollouts[0].State, s.Rollouts[0].Why, s.Record.Hold)
			}
		})
	}
}

// TestWhatASoakForgives has a fleet of 20 whose nodes lose the image that soaks, of which 10 % may fail.
func TestWhatASoakForgives(t *testing.T) {
	for _, c := range []struct {
		name  string
		lost  int
		again time.Duration // after which they have it again; 0 for never
		fails bool
	}{
		{"one beat of all", 20, 10 * time.Second, false},
		{"all, for longer than they may", 20, 0, true},
		{"as many as may fail, for good", 2, 0, false},
		{"one more, for good", 3, 0, true},
		{"one more, that fetches it again", 3, 50 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCrowd(20, func(p *messages.Policy) { p.Soak, p.Canaries = messages.Duration(10*time.Minute), 0 })
			w.Record.Previous = testFleetImage(9)
			for w.Rollouts[0].State != messages.RolloutSoaking {
				for _, name := range sortedNames(w.pulls) {
					w.ends(name)
				}
				w.pass(t, time.Second)
			}
			w.Record.Previous = testFleetImage(9)
			w.hold(testImage(9))
			w.pass(t, time.Second)
			has := func(names []string, is bool) {
				for _, name := range names {
					n := w.Nodes[name]
					if n.Status.Images = []messages.PresentImage{{Image: testImage(9)}}; is {
						n.Status.Images = append(n.Status.Images, messages.PresentImage{Image: testImage(1)})
					}
					w.Nodes[name] = n
				}
			}
			has(w.Members[:c.lost], false)
			for at := time.Duration(0); at < 9*time.Minute; at += 5 * time.Second {
				if c.again > 0 && at >= c.again {
					has(w.Members, true)
				}
				w.pass(t, 5*time.Second)
			}
			if failed := w.Record.Current.Order == 9; failed != c.fails {
				t.Fatalf("rolled back: %v; %s: %s", failed, w.Rollouts[0].State, w.Rollouts[0].Why)
			}
			if c.fails && !strings.Contains(w.Record.Hold.Reason, "the image is gone") {
				t.Errorf("it says %s", w.Record.Hold.Reason)
			}
		})
	}
}

// TestASoakBlamesNoImageForNodesThatWaitForTheirTurn has all nodes lose it, of which few may fetch at
// one time.
func TestASoakBlamesNoImageForNodesThatWaitForTheirTurn(t *testing.T) {
	for name, change := range map[string]func(*crowded){
		"by the bound":          func(*crowded) {},
		"for the wave they had": func(c *crowded) { c.Record.Spread = &messages.Spread{Rollout: "default-b1", Threshold: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newCrowd(20, func(p *messages.Policy) {
				p.Soak, p.Canaries, p.MaxInFlight = messages.Duration(time.Hour), 0, 2
			})
			for w.Rollouts[0].State != messages.RolloutSoaking {
				for _, name := range sortedNames(w.pulls) {
					w.ends(name)
				}
				w.pass(t, time.Second)
			}
			w.Record.Previous = testFleetImage(9)
			w.pass(t, time.Second)
			for name, n := range w.Nodes {
				n.Status.Images = nil
				w.Nodes[name] = n
			}
			change(w)
			for at := range 50 { // each pull takes half a minute
				if at%3 == 0 {
					for _, name := range sortedNames(w.pulls) {
						w.ends(name)
					}
				}
				w.pass(t, 10*time.Second)
			}
			if w.Record.Current.Order != 1 {
				t.Fatalf("%s: %s; the record is %+v", w.Rollouts[0].State, w.Rollouts[0].Why, w.Record)
			}
		})
	}
}

// TestASoakWaitsForThoseThatLackTheImage at its end, as long as they may lack it.
func TestASoakWaitsForThoseThatLackTheImage(t *testing.T) {
	s := soaking(t)
	s.Rollouts[0].Policy.SoakGrace = messages.Duration(2 * time.Minute)
	n := s.Nodes["n1"]
	n.Had, n.Lacked, n.Status.Images = true, time.Minute, []messages.PresentImage{{Image: testImage(1)}}
	s.Nodes["n1"] = n
	s.Soaked = time.Hour
	s.settle(t)
	if s.Record.Soaking == "" {
		t.Fatal("it ended while a node may still fail")
	}
	n.Lacked = 2 * time.Minute
	s.Nodes["n1"] = n
	s.settle(t)
	if s.Record.Current.Order != 1 {
		t.Fatalf("it is %s: %s", s.Rollouts[0].State, s.Rollouts[0].Why)
	}
}

// TestARetiredNodeFailsNoSoak takes nodes out that had the image at its flip: the others that lacked it
// then are no more than they were, and what one of those that are left loses counts as before.
func TestARetiredNodeFailsNoSoak(t *testing.T) {
	lost := func(s *State, names ...string) {
		for _, name := range names {
			n := s.Nodes[name]
			n.Lacked, n.Status.Images = time.Hour, []messages.PresentImage{{Image: testImage(9)}}
			s.Nodes[name] = n
		}
	}
	for _, c := range []struct {
		name    string
		lacking []string // at the flip
		retired []string
		lost    []string
		back    bool
	}{
		{name: "one of those that have it", retired: []string{"n0"}},
		{name: "all but one", retired: []string{"n0", "n1", "n2", "n3", "n4"}},
		{name: "all that have it but one", lacking: []string{"n4", "n5"}, retired: []string{"n0", "n1", "n2"}},
		{name: "one of those that lacked it", lacking: []string{"n4", "n5"}, retired: []string{"n5"}},
		{name: "one, and another loses it", retired: []string{"n0"}, lost: []string{"n1"}, back: true},
		{name: "one, and others than those that lacked it do", lacking: []string{"n5"}, retired: []string{"n0"}, lost: []string{"n1"}, back: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(6, func(p *messages.Policy) { p.Soak, p.Canaries, p.QuorumPercent = messages.Duration(time.Hour), 0, 50 })
			had := slices.DeleteFunc(slices.Clone(s.Members), func(m string) bool { return slices.Contains(c.lacking, m) })
			s.settle(t)
			s.fetch(had...)
			s.settle(t)
			s.Record.Previous = messages.FleetImage{Image: testImage(9)}
			s.hold(testImage(9))
			s.apply()
			s.settle(t)
			lost(s, c.lacking...)
			s.settle(t)
			if r := s.Rollouts[0]; r.State != messages.RolloutSoaking || r.Present != len(had) {
				t.Fatalf("it is %s, %d are present: %s", r.State, r.Present, r.Why)
			}
			s.Retired = map[string]bool{}
			for _, name := range c.retired {
				s.Members = slices.DeleteFunc(s.Members, func(m string) bool { return m == name })
				s.Retired[name] = true
				delete(s.Nodes, name)
			}
			lost(s, c.lost...)
			s.settle(t)
			if r := s.Rollouts[0]; (s.Record.Current.Order != 1) != c.back {
				t.Errorf("went back: %v; it is %s, %d of %d were present; hold %+v", !c.back, r.State, r.Present, r.Counts(), s.Record.Hold)
			}
			if r := s.Rollouts[0]; r.Counts() != 6 || r.Present > r.Counts() {
				t.Errorf("%d of %d were present", r.Present, r.Counts())
			}
		})
	}
}
