package decide

import (
	"fmt"
	"slices"
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

// hold lets all nodes have an image, too.
func (s *State) hold(i messages.Image) {
	for name, n := range s.Nodes {
		n.Status.Images = append(slices.Clone(n.Status.Images), messages.PresentImage{Image: i})
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
