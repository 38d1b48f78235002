package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// TestLabelsAreShown where a node has any, and make no column where none has.
func TestLabelsAreShown(t *testing.T) {
	plain := overview.Node{Fleet: "production", Node: "n1", Up: true, Status: &messages.NodeStatus{}}
	silent := overview.Node{Fleet: "production", Node: "n2"}
	labelled := overview.Node{Fleet: "production", Node: "n3", Up: true, Status: &messages.NodeStatus{Labels: map[string]string{"zone": "b", "rack": "7"}}}
	for name, test := range map[string]struct {
		nodes []overview.Node
		want  string
	}{
		"none":          {[]overview.Node{plain, silent}, "IMAGES\tDETAIL\n"},
		"a node's":      {[]overview.Node{plain, silent, labelled}, "\track=7,zone=b\n"},
		"the head's":    {[]overview.Node{labelled}, "IMAGES\tLABELS\tDETAIL\n"},
		"nodes without": {[]overview.Node{plain, labelled}, "n1\ttrue\t-\t0 B\t0\t-\n"},
	} {
		out := written(t, func(p *terminal.Page) { writeNodes(p, test.nodes) })
		if out = regexp.MustCompile("  +").ReplaceAllString(out, "\t"); !strings.Contains(out, test.want) {
			t.Errorf("%s: without %q in\n%s", name, test.want, out)
		}
	}
}

// TestWhatANodeWaitsFor is said where the fleet's record keeps it from fetching what it lacks.
func TestWhatANodeWaitsFor(t *testing.T) {
	one, two := messages.FleetImage{Image: imageOne, Rollout: "r1"}, messages.FleetImage{Image: imageTwo}
	turn := func(nodes ...string) *messages.Turns { return &messages.Turns{Nodes: nodes} }
	status := func(has ...messages.Image) messages.NodeStatus {
		s := messages.NodeStatus{Revision: 1}
		for _, i := range has {
			s.Images = append(s.Images, messages.PresentImage{Image: i})
		}
		return s
	}
	down := status()
	down.Engine.Error = "connection refused"
	unread := status()
	unread.Revision = 0
	behind := status()
	behind.Mirror = "http://a:5000"
	behind.Troubles = []messages.MirrorTrouble{{Mirror: "http://a:5000", Reason: "mirror http://a:5000: no answer within 10s"}}
	fetching := status()
	fetching.Work = &messages.NodeWork{Image: imageOne, State: messages.WorkPulling}
	fetching.Fetching = &messages.ImageFetch{Image: imageOne, Bytes: 5_000_000, Total: 20_000_000, Rate: 1_000_000, Layer: "abc"}
	base := status()
	base.Fetching = &messages.ImageFetch{Image: imageTwo, Bytes: 5}
	firsts := []messages.First{{Mirror: "http://a:5000", Image: imageOne, Node: "n2"}}
	preloading := status()
	preloading.Work = &messages.NodeWork{Image: imageOne, State: messages.WorkWaiting}
	for name, test := range map[string]struct {
		record messages.FleetRecord
		status messages.NodeStatus
		want   string
	}{
		"its turn":                    {messages.FleetRecord{Current: one, Turns: turn("n2")}, status(), "waits for its turn to fetch " + overview.Short(imageOne)},
		"its wave":                    {messages.FleetRecord{Current: one, Spread: &messages.Spread{Rollout: "r1", Threshold: 1}}, status(), "waits for its wave to fetch " + overview.Short(imageOne)},
		"its turn for an earlier one": {messages.FleetRecord{Current: one, Previous: two, Turns: turn()}, status(imageOne), "waits for its turn to fetch " + overview.Short(imageTwo)},
		"nothing in its turn":         {messages.FleetRecord{Current: one, Turns: turn("n1")}, status(), ""},
		"nothing where it has all":    {messages.FleetRecord{Current: one, Previous: two, Turns: turn()}, status(imageOne, imageTwo), ""},
		"nothing without a bound":     {messages.FleetRecord{Current: one}, status(), ""},
		"nothing it has not read of":  {messages.FleetRecord{Current: one, Turns: turn()}, unread, ""},
		"its engine first":            {messages.FleetRecord{Current: one, Turns: turn()}, down, "engine: connection refused"},
		"the first behind its mirror": {
			messages.FleetRecord{Current: one, Firsts: firsts}, behind,
			"waits until another node has fetched " + overview.Short(imageOne) + " through their mirror http://a:5000; mirror http://a:5000: no answer within 10s",
		},
		"nothing while it fetches":    {messages.FleetRecord{}, fetching, "pulling " + overview.Short(imageOne) + ": 5.0 MB of 20.0 MB, 1.0 MB/s, layer abc"},
		"nothing while it fetches ..": {messages.FleetRecord{}, base, "pulling " + overview.Short(imageTwo) + ": 5 B"},
		"a preload, said once":        {messages.FleetRecord{Current: one, Turns: turn()}, preloading, "waiting " + overview.Short(imageOne)},
	} {
		n := overview.Node{Fleet: "production", Node: "n1", Up: true, Status: &test.status}
		n.MarkWaiting(&test.record)
		if got := n.Doing(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
