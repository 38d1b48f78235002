package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
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
		"a node's":      {[]nodeRow{plain, silent, labelled}, "\track=7,zone=b\t\n"},
		"the head's":    {[]nodeRow{labelled}, "IMAGES\tLABELS\tDETAIL\n"},
		"nodes without": {[]nodeRow{plain, labelled}, "n1\ttrue\t-\t0 B\t0\t-\t\n"},
	} {
		var out strings.Builder
		if writeNodes(&out, test.nodes); !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: without %q in\n%s", name, test.want, out.String())
		}
	}
}
