package decide

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// local has a fleet's next rollouts name images by local names.
func local(p *messages.Policy) {
	p.Reference, p.Canaries, p.Trial.Disabled = messages.ReferenceLocal, 0, true
}

// fetchAs lets the admitted nodes fetch the image and keep it under a name.
func (s *State) fetchAs(name func(messages.Image) string, nodes ...string) {
	s.fetch(nodes...)
	for _, node := range nodes {
		n := s.Nodes[node]
		for i := range n.Status.Images {
			n.Status.Images[i].Local = name(n.Status.Images[i].Image)
		}
		s.Nodes[node] = n
	}
}

// Only nodes that have the image under the very name that the fence config would hold make the quorum.
func TestALocalNameIsFlippedToOnlyWhereNodesHaveIt(t *testing.T) {
	s := fleetOf(2, local)
	s.Record.ID = "abcdefgh"
	s.settle(t)
	older := func(i messages.Image) string { return s.Record.LocalRealm() + ":" + i.Digest()[7:23] }
	s.fetchAs(s.Record.LocalName, "n0")
	s.fetchAs(older, "n1")
	s.settle(t)
	if r := s.Rollouts[0]; s.Record.Epoch != 0 || r.Present != 1 || !strings.Contains(r.Why, "n1 (has the image under another local name") {
		t.Fatalf("epoch %d, %d present: %q", s.Record.Epoch, r.Present, r.Why)
	}
	s.fetchAs(s.Record.LocalName, "n1")
	s.settle(t)
	if want := s.Record.LocalName(testImage(1)); s.Record.Epoch != 1 || s.Record.FenceValue() != want {
		t.Fatalf("epoch %d, the fence config is to hold %q, want %q", s.Record.Epoch, s.Record.FenceValue(), want)
	}
}

// An engine that starts nothing by digest counts where the fence config names images by local names, and nowhere else.
func TestAnEngineWithoutDigestsNeedsLocalNames(t *testing.T) {
	for form, flips := range map[messages.Reference]bool{messages.ReferenceDigest: false, messages.ReferenceLocal: true} {
		s := fleetOf(2, func(p *messages.Policy) { local(p); p.Reference = form })
		s.settle(t)
		s.fetchAs(s.Record.LocalName, "n0", "n1")
		n := s.Nodes["n1"]
		n.Status.Images[0].LocalOnly, n.Status.Engine = true, messages.Engine{Name: "docker", Version: "1.3.3", API: "1.15"}
		s.Nodes["n1"] = n
		s.settle(t)
		r := s.Rollouts[0]
		if said := strings.Contains(r.Why, "n1 (has the image, but its engine (docker 1.3.3) starts nothing by digest: give the fleet reference: local"); (s.Record.Epoch == 1) != flips || said == flips {
			t.Errorf("%s: epoch %d, %q", form, s.Record.Epoch, r.Why)
		}
	}
}

func TestAChangedFormComesWithTheNextImage(t *testing.T) {
	byName := &messages.Policy{Reference: messages.ReferenceLocal}
	byDigest := &messages.Policy{Reference: messages.ReferenceDigest}
	r := messages.FleetRecord{Fleet: "default"}
	forward := func(order uint64, p *messages.Policy) {
		TakeFence(&r, testFleetImage(order), p)
		Forward(&r, testFleetImage(order), 2)
	}
	says := func(what, want string) {
		t.Helper()
		if r.FenceValue() != want {
			t.Errorf("%s: %q, want %q", what, r.FenceValue(), want)
		}
	}
	forward(1, byDigest)
	says("by digest", string(testImage(1)))
	forward(2, byName)
	says("a newer image", r.LocalName(testImage(2)))
	Back(&r, r.Previous, messages.Hold{})
	says("back to one of another form", r.LocalName(testImage(1)))
	forward(2, byDigest)
	says("an image that was flipped before", r.LocalName(testImage(2)))
	forward(3, byDigest)
	says("by digest again", string(testImage(3)))
}

// A value in the other form is one of ours: a change of the form is driven, and holds nothing.
func TestValuesInBothForms(t *testing.T) {
	for name, c := range map[string]struct {
		form  messages.Reference
		value func(*State) string
		drive bool
		hold  bool
	}{
		"the local name, as wanted":      {messages.ReferenceLocal, func(s *State) string { return s.Record.LocalName(testImage(3)) }, false, false},
		"the digest of the current":      {messages.ReferenceLocal, func(*State) string { return string(testImage(3)) }, true, false},
		"the local name of the current":  {"", func(s *State) string { return s.Record.LocalName(testImage(3)) }, true, false},
		"the local name of the previous": {messages.ReferenceLocal, func(s *State) string { return s.Record.LocalName(testImage(2)) }, true, false},
		"one that was flipped once":      {messages.ReferenceLocal, func(s *State) string { return s.Record.LocalName(testImage(1)) }, true, false},
		"of an image of nobody":          {messages.ReferenceLocal, func(s *State) string { return s.Record.LocalName(testImage(9)) }, false, true},
		"of another installation": {messages.ReferenceLocal, func(*State) string {
			return (&messages.FleetRecord{ID: "other", Fleet: "default"}).LocalName(testImage(2))
		}, false, true},
	} {
		s := &State{Rollouts: []messages.RolloutRecord{flippedRollout(1)}, Record: messages.FleetRecord{
			Fleet: "default", ID: "abcdefgh", Epoch: 3, Highest: 3, Current: testFleetImage(3), Previous: testFleetImage(2), Reference: c.form,
		}}
		s.Record.Applied = messages.Applied{Epoch: 3, Value: s.Record.FenceValue()}
		if got := Compare(s, messages.FenceNATS, c.value(s)); got.Drive != c.drive || (got.Hold != "") != c.hold {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Containers that were started by the local name run the current image.
func TestContainersStartedByALocalNameAreNotStale(t *testing.T) {
	s := fleetOf(1, local)
	s.Record.Current, s.Record.Reference = testFleetImage(1), messages.ReferenceLocal
	n := s.Nodes["n0"]
	n.Status.Containers = []messages.ContainerUse{
		{Container: "app", Image: s.Record.LocalName(testImage(1))}, {Container: "old", Image: s.Record.LocalName(testImage(2))},
	}
	s.Nodes["n0"] = n
	var r messages.RolloutRecord
	if s.noteStale(&r); r.StaleCount != 1 || r.Stale[0].Container != "old" {
		t.Errorf("stale are %+v", r.Stale)
	}
}
