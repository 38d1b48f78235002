package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// applies lets nodes say how far they are with the current image; "" is that they have applied it.
func (s *State) applies(failure string, names ...string) {
	for _, name := range names {
		n := s.Nodes[name]
		n.Status.Applied = &messages.NodeApplied{Image: s.Record.Current.Image, State: messages.ApplyDone}
		if failure != "" {
			n.Status.Applied.State, n.Status.Applied.Error = messages.ApplyFailed, failure
		}
		s.Nodes[name] = n
	}
}

// flippedOf is a fleet whose image of order 2 was flipped after that of order 1, with a policy of how it
// is applied. All nodes say what they apply, and nothing yet of that image.
func flippedOf(t *testing.T, members int, a messages.ApplyPolicy, change func(*messages.Policy)) *State {
	t.Helper()
	s := fleetOf(members, func(p *messages.Policy) {
		p.Apply = &a
		if change != nil {
			change(p)
		}
	})
	r, of := &s.Rollouts[0], testFleetImage(2)
	r.ID, r.Ready.Build, r.Ready.Order, r.Ready.Image = of.Rollout, of.Build, of.Order, of.Image
	Forward(&s.Record, testFleetImage(1), 2)
	s.applies("", s.Members...)
	for range 3 {
		s.settle(t)
		s.fetch(s.Members...)
	}
	s.apply()
	s.hold(testImage(1))
	s.settle(t)
	if s.Record.Current.Image != of.Image || s.Record.Soaking != of.Rollout {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	return s
}

var allInAMinute = messages.ApplyPolicy{QuorumPercent: 100, Deadline: messages.Duration(time.Minute)}

func TestARolloutIsDoneOnceEnoughHaveAppliedIt(t *testing.T) {
	s := flippedOf(t, 3, messages.ApplyPolicy{QuorumPercent: 60, Deadline: messages.Duration(time.Minute)}, nil)
	r := &s.Rollouts[0]
	if r.State != messages.RolloutFlipped || !strings.HasPrefix(r.Why, "applied on 0 of 3, 2 must; n0: has not begun") {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.applies("", "n0")
	s.applies("reload ended with 1: no such unit", "n1")
	s.settle(t)
	if r.State != messages.RolloutFlipped || r.Why != "applied on 1 of 3, 2 must; n1: reload ended with 1: no such unit, n2: has not begun" {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.applies("", "n2")
	s.settle(t)
	if r.State != messages.RolloutDone || s.Record.Soaking != "" || s.Record.Current.Order != 2 {
		t.Fatalf("it is %s: %s; record %+v", r.State, r.Why, s.Record)
	}
}

func TestWhatIsNotAppliedInTimeIsTurnedBack(t *testing.T) {
	s := flippedOf(t, 2, allInAMinute, nil)
	clock := &Clocks{}
	clock.Measure(s, s.Now)
	s.applies("", "n0")
	s.applies("reload ended with 1", "n1")
	clock.Measure(s, s.Now.Add(59*time.Second))
	s.settle(t)
	r := &s.Rollouts[0]
	if r.State != messages.RolloutFlipped {
		t.Fatalf("before its deadline it is %s: %s", r.State, r.Why)
	}
	clock.Measure(s, s.Now.Add(time.Minute))
	s.settle(t)
	const says = "not applied within 1m0s: applied on 1 of 2, 2 must; n1: reload ended with 1"
	if r.State != messages.RolloutRolledBack || s.Record.Current.Image != testImage(1) || !strings.Contains(r.Why, says) {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	if h := s.Record.Hold; h == nil || h.By != "fenceline" || h.Reason != says {
		t.Errorf("the hold is %+v", h)
	}
}

// TestTheTimeToApply passes only while too few have applied the image that could.
func TestTheTimeToApply(t *testing.T) {
	at := func(s *State, d time.Duration) time.Time { return s.Now.Add(d) }
	for _, c := range []struct {
		name string
		do   func(s *State, c *Clocks)
		want time.Duration
	}{
		{"from the flip on", func(s *State, c *Clocks) {}, 50 * time.Second},
		{"anew once enough had it", func(s *State, c *Clocks) {
			s.applies("", "n0", "n1")
			c.Measure(s, at(s, 30*time.Second))
			s.applies("reload ended with 1", "n1")
		}, 20 * time.Second},
		{"not while a node waits for its turn", func(s *State, c *Clocks) {
			s.applies("", "n0")
			n := s.Nodes["n1"]
			n.Status.Images, n.Status.Applied = nil, &messages.NodeApplied{Image: s.Record.Current.Image, State: messages.ApplyWaiting}
			s.Nodes["n1"] = n
			s.Record.Turns = &messages.Turns{Nodes: []string{"n0"}}
		}, 0},
		{"though a node waits for its turn that failed to fetch it", func(s *State, c *Clocks) {
			n := s.Nodes["n1"]
			n.Status.Images, n.Status.Problems = nil, []messages.ImageProblem{{Image: s.Record.Current.Image, Reason: "no space"}}
			s.Nodes["n1"] = n
			s.Record.Turns = &messages.Turns{Nodes: []string{"n0"}}
		}, 50 * time.Second},
		{"not for nodes that fell silent after they had it", func(s *State, c *Clocks) {
			s.applies("", "n0", "n1")
			c.Measure(s, at(s, 10*time.Second))
			s.Nodes["n0"], s.Nodes["n1"] = Node{}, Node{} // their heartbeats expired
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, clock := flippedOf(t, 2, allInAMinute, nil), &Clocks{}
			clock.Measure(s, s.Now)
			c.do(s, clock)
			clock.Measure(s, at(s, 50*time.Second))
			if s.Unapplied != c.want {
				t.Errorf("it is %s, want %s", s.Unapplied, c.want)
			}
		})
	}
}

// TestASoakAndApplying are both waited for.
func TestASoakAndApplying(t *testing.T) {
	s := flippedOf(t, 2, allInAMinute, func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) })
	r := &s.Rollouts[0]
	if r.State != messages.RolloutSoaking || !strings.HasPrefix(r.Why, "soaks for 1h0m0s; applied on 0 of 2") {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.Soaked = time.Hour
	s.settle(t)
	if s.Record.Soaking == "" {
		t.Fatal("its soak ended and nobody had applied it")
	}
	s.applies("", s.Members...)
	s.settle(t)
	if r.State != messages.RolloutDone {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
}

// TestNothingFlipsThatTooFewCouldApply: nodes of an older version say nothing of it, and don't count.
func TestNothingFlipsThatTooFewCouldApply(t *testing.T) {
	s := fleetOf(2, func(p *messages.Policy) { p.Apply = &allInAMinute })
	s.applies("", "n0")
	for range 3 {
		s.settle(t)
		s.fetch(s.Members...)
	}
	r := &s.Rollouts[0]
	if s.Record.Current.Order != 0 || r.State != messages.RolloutPreloading || !strings.Contains(r.Why, "2 of 2 members must apply it, and 1 say") || !strings.Contains(r.Why, "n1") {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.applies("", "n1")
	s.settle(t)
	if s.Record.Current.Order != 1 {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
}

// TestAFirstImageThatIsNotApplied has nothing to go back to: it fails, and is held.
func TestAFirstImageThatIsNotApplied(t *testing.T) {
	s := flippedOf(t, 2, allInAMinute, nil)
	s.Record.Previous = messages.FleetImage{}
	s.Unapplied = time.Minute
	s.settle(t)
	if r := &s.Rollouts[0]; r.State != messages.RolloutFailed || !strings.Contains(r.Why, "no earlier image") || s.Record.Hold == nil {
		t.Fatalf("it is %s: %s; hold %+v", r.State, r.Why, s.Record.Hold)
	}
}

// TestANewerImageWaitsUntilEnoughHaveApplied what was flipped before it.
func TestANewerImageWaitsUntilEnoughHaveApplied(t *testing.T) {
	s := flippedOf(t, 1, allInAMinute, nil)
	newer := s.Rollouts[0]
	of := testFleetImage(3)
	newer.ID, newer.State, newer.Members, newer.Canaries, newer.Trials, newer.Why = of.Rollout, messages.RolloutWaiting, nil, nil, nil, ""
	newer.Ready.Build, newer.Ready.Order, newer.Ready.Image = of.Build, of.Order, of.Image
	s.Rollouts = append(s.Rollouts, newer)
	for range 3 {
		s.settle(t)
		s.fetch(s.Members...)
		s.hold(testImage(2))
	}
	if r := &s.Rollouts[1]; r.State != messages.RolloutWaiting || !strings.Contains(r.Why, "applied the image of default-b2") {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.applies("", s.Members...)
	s.settle(t)
	if s.Record.Current.Order != 3 {
		t.Fatalf("current is %d; %s: %s", s.Record.Current.Order, s.Rollouts[1].State, s.Rollouts[1].Why)
	}
}
