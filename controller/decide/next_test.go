package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

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
	if r.Present != 49 || !strings.Contains(r.Why, "must have the image: missing "+s.Members[49]) {
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
