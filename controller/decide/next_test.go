package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func testImage(order uint64) messages.Image {
	return messages.Image(fmt.Sprintf("r.example.com/app@sha256:%064x", order))
}

func testFleetImage(order uint64) messages.FleetImage {
	if order == 0 {
		return messages.FleetImage{}
	}
	return messages.FleetImage{Image: testImage(order), Order: order, Build: fmt.Sprint("b", order), Rollout: fmt.Sprint("default-b", order)}
}

// fleetOf is a fleet whose nodes live, with one rollout that waits.
func fleetOf(members int, change func(*messages.Policy)) *State {
	p := messages.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	s := &State{Record: messages.FleetRecord{Fleet: "default"}, Nodes: map[string]Node{}, Now: time.Unix(1, 0), Report: true}
	for n := range members {
		name := fmt.Sprintf("n%d", n)
		s.Members = append(s.Members, name)
		s.Nodes[name] = Node{Fresh: true, Status: messages.NodeStatus{Node: name, Revision: 1}}
	}
	s.Rollouts = []messages.RolloutRecord{{
		ID: "default-b1", Fleet: "default", State: messages.RolloutWaiting, Policy: p,
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "b1", Pipeline: "app", Order: 1}, Image: testImage(1)},
	}}
	return s
}

// settle takes all steps that come next.
func (s *State) settle(t *testing.T) {
	t.Helper()
	for range 100 {
		out := Next(s)
		switch {
		case out.Fleet != nil:
			s.Record = *out.Fleet
			s.forget()
		case out.Rollout != nil:
			*s.rollout(out.Rollout.ID) = *out.Rollout
		default:
			return
		}
	}
	t.Fatal("never comes to rest")
}

// forget lets nodes end their work on what the record preloads no more.
func (s *State) forget() {
	for name, n := range s.Nodes {
		if w := n.Status.Work; w != nil && (s.Record.Preload == nil || s.Record.Preload.Rollout != w.Rollout) {
			n.Status.Work = nil
			s.Nodes[name] = n
		}
	}
}

// fetch lets the admitted nodes fetch, and the canaries try, the image.
func (s *State) fetch(names ...string) {
	for _, name := range names {
		p, n := s.Record.Preload, s.Nodes[name]
		if p == nil || !admits(p, name) {
			continue
		}
		n.Status.Images = []messages.PresentImage{{Image: p.Image}}
		n.Status.Work = &messages.NodeWork{Rollout: p.Rollout, State: messages.WorkDone}
		if slices.Contains(p.Canaries, name) {
			n.Status.Work.Trial = &messages.TrialResult{Passed: true}
		}
		s.Nodes[name] = n
	}
}

func (s *State) admitted() []string {
	var out []string
	for _, m := range s.Members {
		if s.Record.Preload != nil && admits(s.Record.Preload, m) {
			out = append(out, m)
		}
	}
	return out
}

func TestWavesAdmitExactCounts(t *testing.T) {
	s := fleetOf(10, func(p *messages.Policy) { p.Canaries, p.Waves = 2, []int{30, 55, 100} })
	for _, want := range []int{2, 3, 6, 10} {
		s.settle(t)
		if got := s.admitted(); len(got) != want {
			t.Fatalf("%d nodes are admitted, not %d", len(got), want)
		}
		s.fetch(s.Members...)
	}
	s.settle(t)
	if s.Record.Current.Order != 1 {
		t.Fatalf("not flipped: %+v", s.Rollouts[0])
	}
}

func TestNoMoreThanMaxInFlight(t *testing.T) {
	s := fleetOf(9, func(p *messages.Policy) { p.Canaries, p.MaxInFlight = 3, 2 })
	for range 20 {
		s.settle(t)
		if s.Record.Current.Order == 1 {
			return
		}
		var busy []string
		for _, m := range s.admitted() {
			if !s.Nodes[m].Has(testImage(1)) {
				busy = append(busy, m)
			}
		}
		if len(busy) > 2 || len(busy) == 0 {
			t.Fatalf("%v preload at one time", busy)
		}
		s.fetch(busy[0])
	}
	t.Fatal("never flipped")
}

func TestASilentCanaryIsReplacedAndALivingOneIsNot(t *testing.T) {
	for _, c := range []struct {
		name  string
		fresh bool
		want  int
	}{{"silent past its deadline", false, 2}, {"alive, but without progress", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(4, func(p *messages.Policy) { p.QuorumPercent = 75 })
			s.settle(t)
			canary := s.Rollouts[0].Canaries[0]
			n := s.Nodes[canary]
			n.Fresh, n.Quiet = c.fresh, time.Hour
			s.Nodes[canary] = n
			s.settle(t)
			if got := s.Rollouts[0].Canaries; len(got) != c.want {
				t.Fatalf("the canaries are %v; why: %s", got, s.Rollouts[0].Why)
			}
			for range 3 {
				s.fetch(slices.DeleteFunc(slices.Clone(s.Members), func(m string) bool { return m == canary })...)
				s.settle(t)
			}
			if flipped := s.Record.Current.Order == 1; flipped == c.fresh {
				t.Fatalf("flipped: %v; why: %s", flipped, s.Rollouts[0].Why)
			}
		})
	}
}

func TestAFailedTrialIsNotForgottenWithThePreload(t *testing.T) {
	s := fleetOf(1, nil)
	s.settle(t)
	s.fetch("n0")
	s.Nodes["n0"].Status.Work.Trial.Passed = false
	s.settle(t)
	r := s.Rollouts[0]
	if r.State != messages.RolloutFailed || !strings.Contains(r.Why, "n0") || s.Record.Preload != nil {
		t.Fatalf("the rollout is %s: %s; the preload %+v", r.State, r.Why, s.Record.Preload)
	}
}

func TestWhyARolloutWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy func(*messages.Policy)
		change func(*State)
		state  messages.RolloutState
		says   []string
	}{
		{"no members", nil, func(s *State) { s.Members = nil }, messages.RolloutWaiting, []string{"no members", "start a distributor"}},
		{"more nodes asked for than there are", func(p *messages.Policy) { p.QuorumFloor = 3 }, func(s *State) {},
			messages.RolloutPreloading, []string{"3 nodes", "2 members", "quorum_floor"}},
		{"a node that failed", nil, func(s *State) {
			n := s.Nodes["n1"]
			n.Status.Work = &messages.NodeWork{Rollout: "default-b1", State: messages.WorkFailed, Reason: "no space"}
			s.Nodes["n1"] = n
		}, messages.RolloutPreloading, []string{"2 of 2", "n1 (no space)"}},
		{"a hold", nil, func(s *State) { h := NewHold("ada", "lunch", time.Time{}); s.Record.Hold = &h }, messages.RolloutHeld, []string{"ada", "lunch", "fenceline release default"}},
		{"approval", func(p *messages.Policy) { p.Approval = true }, func(s *State) {}, messages.RolloutApproval, []string{"fenceline approve default-b1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(2, c.policy)
			if c.name == "a node that failed" {
				s.Rollouts[0].Policy.Canaries = 0
			}
			c.change(s)
			for range 3 {
				s.settle(t)
				s.fetch("n0")
				if c.state != messages.RolloutPreloading {
					s.fetch("n1")
				}
			}
			s.settle(t)
			r := s.Rollouts[0]
			if r.State != c.state || s.Record.Current.Order != 0 {
				t.Fatalf("the rollout is %s: %s", r.State, r.Why)
			}
			for _, part := range c.says {
				if !strings.Contains(r.Why, part) {
					t.Errorf("%q does not say %q", r.Why, part)
				}
			}
		})
	}
}

func TestArrivingNodesAreReportedFromTimeToTime(t *testing.T) {
	s := fleetOf(50, func(p *messages.Policy) { p.Canaries = 0 })
	s.settle(t)
	s.Report = false
	r := &s.Rollouts[0]
	for i, name := range s.Members[:49] {
		s.fetch(name)
		if out := Next(s); out.Fleet != nil || out.Rollout != nil || out.Event != nil {
			t.Fatalf("node %d of 50 is written at once: %+v", i+1, out)
		}
	}
	s.Report = true
	s.settle(t)
	if r.Present != 49 || !strings.Contains(r.Why, "49 have: missing "+s.Members[49]) {
		t.Fatalf("%d are present: %s", r.Present, r.Why)
	}
	s.Report = false
	n := s.Nodes[s.Members[49]]
	n.Status.Work = &messages.NodeWork{Rollout: r.ID, State: messages.WorkFailed, Reason: "no space"}
	s.Nodes[s.Members[49]] = n
	s.settle(t)
	if !strings.Contains(r.Why, "no space") {
		t.Fatalf("a failure is not written at once: %s", r.Why)
	}
	s.fetch(s.Members[49])
	s.settle(t)
	if s.Record.Current.Order != 1 {
		t.Fatalf("not flipped: %s", r.Why)
	}
}

func TestStaleHeartbeatsMakeNoQuorum(t *testing.T) {
	s := fleetOf(1, nil)
	s.settle(t)
	s.fetch("n0")
	n := s.Nodes["n0"]
	n.Fresh = false
	s.Nodes["n0"] = n
	s.settle(t)
	if s.Record.Current.Order != 0 {
		t.Fatal("flipped on a heartbeat that is not fresh")
	}
}

func TestWhatTheRecordKeeps(t *testing.T) {
	record := func(current, previous uint64, keep ...uint64) messages.FleetRecord {
		r := messages.FleetRecord{Current: testFleetImage(current), Previous: testFleetImage(previous)}
		for _, k := range keep {
			r.Keep = append(r.Keep, testFleetImage(k))
		}
		return r
	}
	forwardTo := func(order uint64) func(*messages.FleetRecord) {
		return func(r *messages.FleetRecord) { Forward(r, testFleetImage(order), 2) }
	}
	backTo := func(order uint64) func(*messages.FleetRecord) {
		return func(r *messages.FleetRecord) { Back(r, testFleetImage(order), messages.Hold{By: "ada"}) }
	}
	for _, c := range []struct {
		name string
		from messages.FleetRecord
		do   func(*messages.FleetRecord)
		want messages.FleetRecord
	}{
		{"a first image", record(0, 0), forwardTo(1), record(1, 0)},
		{"a second", record(1, 0), forwardTo(2), record(2, 1)},
		{"only so many are kept", record(4, 3, 2, 1), forwardTo(5), record(5, 4, 3, 2)},
		{"back to the previous", record(3, 2, 1), backTo(2), record(2, 1, 3)},
		{"back twice goes further back", record(2, 1, 3), backTo(1), record(1, 0, 3, 2)},
		{"back to a kept one", record(4, 3, 2, 1), backTo(2), record(2, 1, 4, 3)},
		{"forward to one that was rolled back", record(2, 1, 3), forwardTo(3), record(3, 2, 1)},
		{"the same content again", record(2, 1), forwardTo(2), record(2, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.from
			c.do(&r)
			same := func(a, b messages.FleetImage) bool { return a == b }
			if r.Current != c.want.Current || r.Previous != c.want.Previous || !slices.EqualFunc(r.Keep, c.want.Keep, same) {
				t.Errorf("the record is %+v, previous %+v, keep %+v", r.Current, r.Previous, r.Keep)
			}
			if r.Epoch != c.from.Epoch+1 {
				t.Error("the epoch did not rise")
			}
		})
	}
}

func TestWhatCountsAsAFailureInASoak(t *testing.T) {
	gone := func(n *Node) { n.Status.Images = nil }
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
			s.settle(t)
			if s.Rollouts[0].State != messages.RolloutSoaking {
				t.Fatalf("the rollout is %s: %s", s.Rollouts[0].State, s.Rollouts[0].Why)
			}
			n := s.Nodes["n1"]
			c.change(&n)
			s.Nodes["n1"] = n
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
