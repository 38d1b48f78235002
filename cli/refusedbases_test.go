package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// TestBasesThatNodesMayNotFetchAreSaid for people and in what machines read.
func TestBasesThatNodesMayNotFetchAreSaid(t *testing.T) {
	f := overview.Fleet{Fleet: "production", Record: &messages.FleetRecord{Fleet: "production", Bases: &messages.BasePreload{
		Build: "app-1", Refused: []messages.ImageProblem{{Image: imageOne, Reason: "preload_from has it not"}},
	}}}
	f.Count(nil)
	want := "base " + string(imageOne) + " of build app-1 is not preloaded: preload_from has it not"
	if len(f.Problems) != 1 || f.Problems[0] != want {
		t.Errorf("the problems are %q", f.Problems)
	}
	if out := written(t, func(p *terminal.Page) { writeFleet(p, &f) }); !strings.Contains(out, "problem: "+want) {
		t.Errorf("without %q in\n%s", want, out)
	}
}
