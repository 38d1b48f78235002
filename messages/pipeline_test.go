package messages

import (
	"strings"
	"testing"
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
		"retry_for":        func(p *Pipeline) { p.RetryFor = -1 },
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
