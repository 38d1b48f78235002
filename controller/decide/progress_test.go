package decide

import (
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// hear lets some nodes be heard, and no other.
func (s *State) hear(names ...string) {
	for name, n := range s.Nodes {
		n.Fresh = slices.Contains(names, name)
		s.Nodes[name] = n
	}
}

func TestOnlyNodesThatAreHeardBecomeCanaries(t *testing.T) {
	for _, c := range []struct {
		name    string
		noTrial bool
	}{{"with a trial", false}, {"without one", true}} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(5, func(p *messages.Policy) { p.Canaries, p.QuorumPercent, p.Trial.Disabled = 2, 40, c.noTrial })
			r := &s.Rollouts[0]
			s.hear()
			s.settle(t)
			if len(r.Canaries) > 0 || len(s.admitted()) > 0 || !strings.Contains(r.Why, "no member is heard") {
				t.Fatalf("before any node is heard the canaries are %v, %v are admitted: %s", r.Canaries, s.admitted(), r.Why)
			}
			s.hear("n3")
			s.settle(t)
			if got := s.admitted(); !slices.Equal(r.Canaries, []string{"n3"}) || !slices.Equal(got, []string{"n3"}) {
				t.Fatalf("the canaries are %v, %v are admitted", r.Canaries, got)
			}
			if s.fetch("n3"); !c.noTrial {
				s.settle(t)
				if !strings.Contains(r.Why, "waits for 1 more canary") {
					t.Fatalf("with one canary of two it says: %s", r.Why)
				}
			}
			s.hear("n3", "n4")
			for range 3 {
				s.settle(t)
				s.fetch("n4")
			}
			if !slices.Equal(r.Canaries, []string{"n3", "n4"}) || s.Record.Current.Order != 1 {
				t.Fatalf("the canaries are %v, the rollout is %s: %s", r.Canaries, r.State, r.Why)
			}
		})
	}
}

// A node that does not count because another has its name says so, also after its deadline.
func TestTwoWithOneNameArePastTheirDeadline(t *testing.T) {
	r := &messages.RolloutRecord{Policy: messages.DefaultPolicy()}
	if got := nodeFailure(Node{Quiet: r.Policy.NodeDeadline.Std(), Twin: true}, r); got != TwinReason {
		t.Errorf("it failed for: %s", got)
	}
	if got := nodeFailure(Node{Quiet: r.Policy.NodeDeadline.Std()}, r); !strings.Contains(got, "no progress") {
		t.Errorf("one that is alone failed for: %s", got)
	}
}
