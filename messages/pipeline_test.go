package messages

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPipelineValidateNamesTheField(t *testing.T) {
	good := samplePipeline()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Pipeline){
		"pipeline name":    func(p *Pipeline) { p.Name = "A" },
		"repository":       func(p *Pipeline) { p.Repository = "" },
		"branch":           func(p *Pipeline) { p.Branch = "" },
		"image":            func(p *Pipeline) { p.Image = "a:b" },
		"dockerfile":       func(p *Pipeline) { p.Dockerfile = "" },
		"directory":        func(p *Pipeline) { p.Directory = "../up" },
		"platform":         func(p *Pipeline) { p.Platform = "amd64,linux" },
		"build_args":       func(p *Pipeline) { p.BuildArgs = map[string]string{"a=b": ""} },
		"BUILDKIT_SYNTAX":  func(p *Pipeline) { p.BuildArgs = map[string]string{"BUILDKIT_SYNTAX": "evil/frontend"} },
		"hooks_dir":        func(p *Pipeline) { p.HooksDir = "hooks" },
		"repository_token": func(p *Pipeline) { p.TokenName = "../token" },
		"secrets":          func(p *Pipeline) { p.Secrets = []string{"a/b"} },
		"timeout":          func(p *Pipeline) { p.Timeout = 0 },
		"attempts":         func(p *Pipeline) { p.Attempts = 0 },
		"named twice":      func(p *Pipeline) { p.Fleets = append(p.Fleets, p.Fleets[0]) },
		"fleet name":       func(p *Pipeline) { p.Fleets[0].Fleet = "" },
		"canaries":         func(p *Pipeline) { p.Fleets[0].Policy.Canaries = -1 },
		"waves":            func(p *Pipeline) { p.Fleets[0].Policy.Waves = []int{50, 50, 100} },
		"max_in_flight":    func(p *Pipeline) { p.Fleets[0].Policy.MaxInFlight = -1 },
		"quorum_percent":   func(p *Pipeline) { p.Fleets[0].Policy.QuorumPercent = 101 },
		"quorum_floor":     func(p *Pipeline) { p.Fleets[0].Policy.QuorumFloor = 0 },
		"node_deadline":    func(p *Pipeline) { p.Fleets[0].Policy.NodeDeadline = 0 },
		"soak":             func(p *Pipeline) { p.Fleets[0].Policy.Soak = -1 },
		"keep":             func(p *Pipeline) { p.Fleets[0].Policy.Keep = -1 },
		"trial.timeout":    func(p *Pipeline) { p.Fleets[0].Policy.Trial.Timeout = 0 },
		"trial.network":    func(p *Pipeline) { p.Fleets[0].Policy.Trial.Network = "container:x" },
	} {
		p := samplePipeline()
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestDefaultPolicyIsValid(t *testing.T) {
	p := DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestBuildRequestedValidate(t *testing.T) {
	for name, change := range map[string]func(*BuildRequested){
		"two sources":      func(m *BuildRequested) { m.Context = "c-1" },
		"no source":        func(m *BuildRequested) { m.Commit = "" },
		"a short commit":   func(m *BuildRequested) { m.Commit = "abc" },
		"a tag":            func(m *BuildRequested) { m.Ref = "refs/tags/v1" },
		"an unknown cause": func(m *BuildRequested) { m.Cause = "whim" },
		"a bad build ID":   func(m *BuildRequested) { m.Build = "a.b" },
		"a bad context":    func(m *BuildRequested) { m.Commit, m.Context = "", "../x" },
		"a bad pipeline":   func(m *BuildRequested) { m.Pipeline.Attempts = 0 },
	} {
		m := samples()[0].(*BuildRequested)
		change(m)
		if m.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAcceptedKeepsTheOrderOfARetry(t *testing.T) {
	fresh, retry := BuildRequested{}, BuildRequested{Order: 3}
	fresh.Accepted(9)
	retry.Accepted(9)
	if fresh.Order != 9 || retry.Order != 3 {
		t.Errorf("orders are %d and %d, want 9 and 3", fresh.Order, retry.Order)
	}
}

func TestDuration(t *testing.T) {
	for _, good := range []string{"0s", "90s", "1h30m", "1.5h"} {
		d, err := ParseDuration(good)
		if err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
		b, _ := json.Marshal(d)
		var back Duration
		if err := json.Unmarshal(b, &back); err != nil || back != d {
			t.Errorf("%s comes back as %s, %v", b, back, err)
		}
	}
	for _, bad := range []string{`""`, `"10"`, `10`, `"-1s"`, `null`, `{}`, `"1y"`} {
		var d Duration
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is taken as %s", bad, d)
		}
	}
	if Duration(time.Second).Std() != time.Second {
		t.Error("Std changes the duration")
	}
}
