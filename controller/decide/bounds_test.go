package decide

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// payload is what a NATS server takes unless told otherwise, with room for headers.
const payload = 1<<20 - 4096

// settleFitting takes all steps that come next, each of which must fit a message.
func (s *State) settleFitting(t *testing.T) {
	t.Helper()
	for range 1000 {
		out := Next(s)
		switch {
		case out.Fleet != nil:
			s.Record = *out.Fleet
		case out.Rollout != nil:
			if n := size(out.Rollout); n > payload {
				t.Fatalf("the record has %d bytes: %s, %d failed, %d trials, %d containers", n, out.Rollout.State,
					len(out.Rollout.Failed), len(out.Rollout.Trials), len(out.Rollout.Stale))
			}
			*s.rollout(out.Rollout.ID) = *out.Rollout
		default:
			return
		}
	}
	t.Fatal("never comes to rest")
}

// crowd is a fleet of so many nodes with the longest names, each with containers.
func crowd(members int, change func(*messages.Policy)) *State {
	s := fleetOf(0, change)
	for n := range members {
		name := fmt.Sprintf("n%062d", n)
		st := messages.NodeStatus{Node: name, Revision: 1}
		for c := range 5 {
			st.Containers = append(st.Containers, messages.ContainerUse{Container: fmt.Sprint("app-", c, strings.Repeat("x", 300)), Image: string(testImage(9))})
		}
		s.Members = append(s.Members, name)
		s.Nodes[name] = Node{Fresh: true, Status: st}
	}
	return s
}

func TestTheRecordOfAHugeFleetFitsAMessage(t *testing.T) {
	const members, canaries = 10_000, 100
	s := crowd(members, func(p *messages.Policy) { p.Canaries, p.QuorumPercent = canaries, 2 })
	s.settleFitting(t)
	r, long := &s.Rollouts[0], strings.Repeat("<\x1b\"", 100) // several times what a record has of it
	var others []string
	for _, name := range s.Members {
		n := s.Nodes[name]
		n.Status.Work = &messages.NodeWork{Rollout: r.ID, State: messages.WorkFailed, Reason: long}
		if admits(s.Record.Preload, name) {
			hooks := []messages.HookRun{{Hook: "pre-staging", Output: long}, {Hook: "pre-running", Output: long}}
			n.Status.Work.Trial = &messages.TrialResult{Passed: true, Reason: long, Hooks: hooks}
		} else {
			others = append(others, name)
		}
		s.Nodes[name] = n
	}
	s.settleFitting(t)
	if r.FailedCount != members || len(r.Failed) != listMost || len(r.Trials) != canaries {
		t.Fatalf("the rollout is %s: %s; %d failed, %d are named, %d trials", r.State, r.Why, r.FailedCount, len(r.Failed), len(r.Trials))
	}
	for _, name := range others[:members/50] { // a quorum
		n := s.Nodes[name]
		n.Status.Images = []messages.PresentImage{{Image: testImage(1)}}
		s.Nodes[name] = n
	}
	s.settleFitting(t)
	s.apply()
	s.settleFitting(t)
	if r.State != messages.RolloutDone || r.StaleCount != 5*members || r.StaleNodes != members || len(r.Stale) != listMost {
		t.Fatalf("the rollout is %s; %d containers on %d nodes, %d are named", r.State, r.StaleCount, r.StaleNodes, len(r.Stale))
	}
	for _, part := range []string{"50000 containers on 10000 nodes", "and 49995 more"} {
		if !strings.Contains(r.Why, part) {
			t.Errorf("%q does not say %q", r.Why, part)
		}
	}
}

func TestMembersThatFitNoRecordAreNotFrozen(t *testing.T) {
	s := crowd(20_000, nil)
	s.settleFitting(t)
	r := s.Rollouts[0]
	if r.State != messages.RolloutWaiting || len(r.Members) > 0 || !strings.Contains(r.Why, "20000 members") || !strings.Contains(r.Why, "several fleets") {
		t.Errorf("the rollout is %s with %d members: %s", r.State, len(r.Members), r.Why)
	}
}

func TestTextsAreCut(t *testing.T) {
	for _, c := range []struct{ name, text, cut, head string }{
		{"what fits stays", "no space", "no space", "no space"},
		{"nothing", "", "", ""},
		{"the bytes of the JSON count", strings.Repeat("\x1b", 10), "\x1b\x1b…", "…\x1b\x1b"},
		{"no letter is cut in two", strings.Repeat("ä", 10), "äääääää…", "…äääääää"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const most = 20
			if got := fitText(c.text, most); size(got) > most || got != c.cut {
				t.Errorf("%q, %d bytes", got, size(got))
			}
			if got := fitTextEnd(c.text, most); size(got) > most || got != c.head {
				t.Errorf("the end is %q, %d bytes", got, size(got))
			}
		})
	}
}

func TestBriefTrialsStayAsTheyAre(t *testing.T) {
	once := briefTrial(messages.TrialResult{Reason: strings.Repeat("é<", 9000), Hooks: []messages.HookRun{{Output: strings.Repeat("x\n", 9000)}}}, 3)
	if twice := briefTrial(once, 3); !sameMap(map[string]messages.TrialResult{"": once}, map[string]messages.TrialResult{"": twice}) {
		t.Error("cut again it is shorter")
	}
}
