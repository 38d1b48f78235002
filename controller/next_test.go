package controller

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
func fleetOf(members int, change func(*messages.Policy)) *state {
	p := messages.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	s := &state{record: messages.FleetRecord{Fleet: "default"}, nodes: map[string]node{}, now: time.Unix(1, 0), report: true}
	for n := range members {
		name := fmt.Sprintf("n%d", n)
		s.members = append(s.members, name)
		s.nodes[name] = node{fresh: true, status: messages.NodeStatus{Node: name, Revision: 1}}
	}
	s.rollouts = []messages.RolloutRecord{{
		ID: "default-b1", Fleet: "default", State: messages.RolloutWaiting, Policy: p,
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "b1", Pipeline: "app", Order: 1}, Image: testImage(1)},
	}}
	return s
}

// settle takes all steps that come next.
func (s *state) settle(t *testing.T) {
	t.Helper()
	for range 100 {
		out := next(s)
		switch {
		case out.fleet != nil:
			s.record = *out.fleet
			s.forget()
		case out.rollout != nil:
			*s.rollout(out.rollout.ID) = *out.rollout
		default:
			return
		}
	}
	t.Fatal("never comes to rest")
}

// forget lets nodes end their work on what the record preloads no more.
func (s *state) forget() {
	for name, n := range s.nodes {
		if w := n.status.Work; w != nil && (s.record.Preload == nil || s.record.Preload.Rollout != w.Rollout) {
			n.status.Work = nil
			s.nodes[name] = n
		}
	}
}

// fetch lets the admitted nodes fetch, and the canaries try, the image.
func (s *state) fetch(names ...string) {
	for _, name := range names {
		p, n := s.record.Preload, s.nodes[name]
		if p == nil || !admits(p, name) {
			continue
		}
		n.status.Images = []messages.PresentImage{{Image: p.Image}}
		n.status.Work = &messages.NodeWork{Rollout: p.Rollout, State: messages.WorkDone}
		if slices.Contains(p.Canaries, name) {
			n.status.Work.Trial = &messages.TrialResult{Passed: true}
		}
		s.nodes[name] = n
	}
}

func (s *state) admitted() []string {
	var out []string
	for _, m := range s.members {
		if s.record.Preload != nil && admits(s.record.Preload, m) {
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
		s.fetch(s.members...)
	}
	s.settle(t)
	if s.record.Current.Order != 1 {
		t.Fatalf("not flipped: %+v", s.rollouts[0])
	}
}

func TestNoMoreThanMaxInFlight(t *testing.T) {
	s := fleetOf(9, func(p *messages.Policy) { p.Canaries, p.MaxInFlight = 3, 2 })
	for range 20 {
		s.settle(t)
		if s.record.Current.Order == 1 {
			return
		}
		var busy []string
		for _, m := range s.admitted() {
			if !s.nodes[m].has(testImage(1)) {
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
			canary := s.rollouts[0].Canaries[0]
			n := s.nodes[canary]
			n.fresh, n.quiet = c.fresh, time.Hour
			s.nodes[canary] = n
			s.settle(t)
			if got := s.rollouts[0].Canaries; len(got) != c.want {
				t.Fatalf("the canaries are %v; why: %s", got, s.rollouts[0].Why)
			}
			for range 3 {
				s.fetch(slices.DeleteFunc(slices.Clone(s.members), func(m string) bool { return m == canary })...)
				s.settle(t)
			}
			if flipped := s.record.Current.Order == 1; flipped == c.fresh {
				t.Fatalf("flipped: %v; why: %s", flipped, s.rollouts[0].Why)
			}
		})
	}
}

func TestAFailedTrialIsNotForgottenWithThePreload(t *testing.T) {
	s := fleetOf(1, nil)
	s.settle(t)
	s.fetch("n0")
	s.nodes["n0"].status.Work.Trial.Passed = false
	s.settle(t)
	r := s.rollouts[0]
	if r.State != messages.RolloutFailed || !strings.Contains(r.Why, "n0") || s.record.Preload != nil {
		t.Fatalf("the rollout is %s: %s; the preload %+v", r.State, r.Why, s.record.Preload)
	}
}

func TestWhyARolloutWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy func(*messages.Policy)
		change func(*state)
		state  messages.RolloutState
		says   []string
	}{
		{"no members", nil, func(s *state) { s.members = nil }, messages.RolloutWaiting, []string{"no members", "start a distributor"}},
		{"more nodes asked for than there are", func(p *messages.Policy) { p.QuorumFloor = 3 }, func(s *state) {},
			messages.RolloutPreloading, []string{"3 nodes", "2 members", "quorum_floor"}},
		{"a node that failed", nil, func(s *state) {
			n := s.nodes["n1"]
			n.status.Work = &messages.NodeWork{Rollout: "default-b1", State: messages.WorkFailed, Reason: "no space"}
			s.nodes["n1"] = n
		}, messages.RolloutPreloading, []string{"2 of 2", "n1 (no space)"}},
		{"a hold", nil, func(s *state) { h := hold("ada", "lunch", time.Time{}); s.record.Hold = &h }, messages.RolloutHeld, []string{"ada", "lunch", "fenceline release default"}},
		{"approval", func(p *messages.Policy) { p.Approval = true }, func(s *state) {}, messages.RolloutApproval, []string{"fenceline approve default-b1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(2, c.policy)
			if c.name == "a node that failed" {
				s.rollouts[0].Policy.Canaries = 0
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
			r := s.rollouts[0]
			if r.State != c.state || s.record.Current.Order != 0 {
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
	s.report = false
	r := &s.rollouts[0]
	for i, name := range s.members[:49] {
		s.fetch(name)
		if out := next(s); out.fleet != nil || out.rollout != nil || out.event != nil {
			t.Fatalf("node %d of 50 is written at once: %+v", i+1, out)
		}
	}
	s.report = true
	s.settle(t)
	if r.Present != 49 || !strings.Contains(r.Why, "49 have: missing "+s.members[49]) {
		t.Fatalf("%d are present: %s", r.Present, r.Why)
	}
	s.report = false
	n := s.nodes[s.members[49]]
	n.status.Work = &messages.NodeWork{Rollout: r.ID, State: messages.WorkFailed, Reason: "no space"}
	s.nodes[s.members[49]] = n
	s.settle(t)
	if !strings.Contains(r.Why, "no space") {
		t.Fatalf("a failure is not written at once: %s", r.Why)
	}
	s.fetch(s.members[49])
	s.settle(t)
	if s.record.Current.Order != 1 {
		t.Fatalf("not flipped: %s", r.Why)
	}
}

func TestStaleHeartbeatsMakeNoQuorum(t *testing.T) {
	s := fleetOf(1, nil)
	s.settle(t)
	s.fetch("n0")
	n := s.nodes["n0"]
	n.fresh = false
	s.nodes["n0"] = n
	s.settle(t)
	if s.record.Current.Order != 0 {
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
		return func(r *messages.FleetRecord) { forward(r, testFleetImage(order), 2) }
	}
	backTo := func(order uint64) func(*messages.FleetRecord) {
		return func(r *messages.FleetRecord) { back(r, testFleetImage(order), messages.Hold{By: "ada"}) }
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
	gone := func(n *node) { n.status.Images = nil }
	for _, c := range []struct {
		name   string
		change func(*node)
		fails  bool
	}{
		{"the image is gone", gone, true},
		{"its heartbeats stop", func(n *node) { n.fresh = false }, false},
		{"its engine does not answer", func(n *node) { gone(n); n.status.Engine.Error = "connection refused" }, false},
		{"its distributor starts again and has not read the record", func(n *node) { gone(n); n.status.Revision = 0 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(2, func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) })
			for range 3 {
				s.settle(t)
				s.fetch(s.members...)
			}
			s.apply()
			s.record.Previous = messages.FleetImage{Image: testImage(9), Rollout: "default-b0"}
			s.settle(t)
			if s.rollouts[0].State != messages.RolloutSoaking {
				t.Fatalf("the rollout is %s: %s", s.rollouts[0].State, s.rollouts[0].Why)
			}
			n := s.nodes["n1"]
			c.change(&n)
			s.nodes["n1"] = n
			s.settle(t)
			if failed := s.record.Soaking == ""; failed != c.fails {
				t.Fatalf("the soak failed: %v; the rollout is %s: %s", failed, s.rollouts[0].State, s.rollouts[0].Why)
			}
			if c.fails {
				if s.record.Current.Image != testImage(9) || s.record.Hold == nil || s.rollouts[0].State != messages.RolloutRolledBack {
					t.Fatalf("the record is %+v, the rollout %s", s.record, s.rollouts[0].State)
				}
				return
			}
			s.soaked = time.Hour
			s.settle(t)
			if s.record.Soaking != "" || s.rollouts[0].State != messages.RolloutDone {
				t.Fatalf("after its time the rollout is %s", s.rollouts[0].State)
			}
		})
	}
}
