package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// TestWhatIsAppliedIsShown for the fleet, and where it fails or somebody else changes it for the node.
func TestWhatIsAppliedIsShown(t *testing.T) {
	node := func(a *messages.NodeApplied) overview.Node {
		return overview.Node{Fleet: "production", Node: "n", Up: true, Status: &messages.NodeStatus{Applied: a}}
	}
	done := messages.NodeApplied{Image: imageOne, State: messages.ApplyDone}
	mended, failed, waits, other := done, done, done, done
	mended.Mended = `it had "x"`
	failed.State, failed.Error = messages.ApplyFailed, "reload ended with 1"
	waits.State, waits.Error = messages.ApplyWaiting, "this node does not hold the image yet"
	other.Image = imageTwo
	for name, test := range map[string]struct {
		applied *messages.NodeApplied
		doing   string
		problem bool
		counts  bool
	}{
		"nothing to apply to":  {nil, "", false, false},
		"no image yet":         {&messages.NodeApplied{State: messages.ApplyWaiting}, "", false, false},
		"applied":              {&done, "", false, true},
		"another image":        {&other, "", false, false},
		"put right":            {&mended, `put right what it applies: it had "x"`, true, true},
		"failed":               {&failed, "not applied " + overview.Short(imageOne) + ", failed: reload ended with 1", true, false},
		"waits for its image":  {&waits, "not applied " + overview.Short(imageOne) + ", waiting: this node does not hold the image yet", false, false},
		"an error of an older": {&messages.NodeApplied{Error: "x"}, "", true, false},
	} {
		f := overview.Fleet{Fleet: "production", Record: &messages.FleetRecord{Current: messages.FleetImage{Image: imageOne}}}
		n := node(test.applied)
		f.Count([]overview.Node{n})
		if n.Doing() != test.doing || len(f.Problems) > 0 != test.problem || f.Applied > 0 != test.counts {
			t.Errorf("%s: the node says %q, the fleet %+v", name, n.Doing(), f)
		}
	}
	for _, test := range []struct {
		nodes []overview.Node
		want  string
	}{
		{[]overview.Node{node(nil)}, "present on 0 of 1\n"},
		{[]overview.Node{node(&done), node(&failed)}, "present on 0 of 2, applied on 1 of 2\n"},
		{[]overview.Node{node(&done), node(nil)}, "present on 0 of 2, applied on 1 of the 1 that say so\n"},
	} {
		f := overview.Fleet{Fleet: "production", Record: &messages.FleetRecord{Current: messages.FleetImage{Image: imageOne}}}
		f.Count(test.nodes)
		if out := written(t, func(p *terminal.Page) { writeFleet(p, &f) }); !strings.Contains(out, test.want) {
			t.Errorf("without %q in\n%s", test.want, out)
		}
	}
}

// TestARolloutSaysWhatIsKnownOfIt, and leaves out what is not.
func TestARolloutSaysWhatIsKnownOfIt(t *testing.T) {
	for want, r := range map[string]messages.RolloutRecord{
		"  rollout r: waiting\n":                                 {State: messages.RolloutWaiting},
		"  rollout r: waiting: fleet staging comes first\n":      {State: messages.RolloutWaiting, Why: "fleet staging comes first"},
		"  rollout r: preloading, present on 1/2\n":              {State: messages.RolloutPreloading, MemberCount: 2, Present: 1},
		"  rollout r: preloading, present on 1/2: node-2 asks\n": {State: messages.RolloutPreloading, MemberCount: 2, Present: 1, Why: "node-2 asks"},
	} {
		r.ID = "r"
		f := overview.Fleet{Fleet: "production", Rollouts: []messages.RolloutRecord{r}}
		if out := written(t, func(p *terminal.Page) { writeFleet(p, &f) }); !strings.Contains(out, want) {
			t.Errorf("without %q in\n%s", want, out)
		}
	}
}

// TestDoctorLooksAtWhatIsApplied names the flag of what is wrong.
func TestDoctorLooksAtWhatIsApplied(t *testing.T) {
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "config.toml"), "[runners.docker]\nimages = 'x'\n")
	clitest.Write(t, filepath.Join(dir, "t"), "{{.Imge}}")
	for name, test := range map[string]struct {
		config apply.Config
		says   string
	}{
		"nothing":            {apply.Config{}, ""},
		"a file":             {apply.Config{File: filepath.Join(dir, "image"), Command: "true"}, ""},
		"no place for it":    {apply.Config{File: filepath.Join(dir, "config.toml"), Format: "toml"}, "has no runners.docker.image"},
		"a folder":           {apply.Config{File: dir}, "is a folder"},
		"no folder":          {apply.Config{File: filepath.Join(dir, "none", "x")}, "there is no folder"},
		"a template's error": {apply.Config{File: filepath.Join(dir, "image"), Template: filepath.Join(dir, "t")}, "t:1:2: "},
		"a command alone":    {apply.Config{Command: "true"}, "the file to write is missing"},
	} {
		c := (&doctor{apply: test.config}).checkApply(t.Context())
		if (c.err == nil) != (test.says == "") || !strings.Contains(c.Problem, test.says) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	got := fenceline(t, "doctor", "distributor", "--apply-command", "true")
	if !strings.Contains(got.out, "the file to write is missing") || !strings.Contains(got.out, "(--apply)") {
		t.Errorf("it says %+v", got)
	}
}
