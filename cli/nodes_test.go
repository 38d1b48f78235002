package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// TestLabelsAreShown where a node has any, and make no column where none has.
func TestLabelsAreShown(t *testing.T) {
	plain := nodeRow{Fleet: "production", Node: "n1", Up: true, Status: &messages.NodeStatus{}}
	silent := nodeRow{Fleet: "production", Node: "n2"}
	labelled := nodeRow{Fleet: "production", Node: "n3", Up: true, Status: &messages.NodeStatus{Labels: map[string]string{"zone": "b", "rack": "7"}}}
	for name, test := range map[string]struct {
		nodes []nodeRow
		want  string
	}{
		"none":          {[]nodeRow{plain, silent}, "IMAGES\tDETAIL\n"},
		"a node's":      {[]nodeRow{plain, silent, labelled}, "\track=7,zone=b\n"},
		"the head's":    {[]nodeRow{labelled}, "IMAGES\tLABELS\tDETAIL\n"},
		"nodes without": {[]nodeRow{plain, labelled}, "n1\ttrue\t-\t0 B\t0\t-\n"},
	} {
		out := written(t, func(p *terminal.Page) { writeNodes(p, test.nodes) })
		if out = regexp.MustCompile("  +").ReplaceAllString(out, "\t"); !strings.Contains(out, test.want) {
			t.Errorf("%s: without %q in\n%s", name, test.want, out)
		}
	}
}
