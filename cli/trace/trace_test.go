package trace

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

const (
	name   = "registry.example.com/exampleco/base"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

func image(digit string) messages.Image {
	return messages.Image(name + "@sha256:" + strings.Repeat(digit, 64))
}

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

// built is a build that made an image.
func built(t *testing.T, order uint64, digit string, bytes int64, bases ...messages.PinnedBase) messages.BuildRecord {
	t.Helper()
	ref := messages.BuildRef{Build: "base-" + strings.Repeat(digit, 8), Pipeline: "base", Order: order}
	of := strings.Repeat(digit, 40)
	ready := &messages.ImageReady{
		BuildRef: ref, Image: image(digit), Tag: of[:12], Commit: of, Ref: "refs/heads/main", HooksDir: "/h", Bases: bases, Bytes: bytes, Received: noon(),
		Fleets: []messages.FleetTarget{{Fleet: "production", Policy: messages.DefaultPolicy()}},
	}
	m, err := messages.Encode(messages.Envelope{ID: messages.NewID(), Source: "/x", Subject: ref.Build, Time: noon().Add(time.Minute)}, ready)
	if err != nil {
		t.Fatal(err)
	}
	return messages.BuildRecord{
		BuildRef: ref, State: messages.BuildStateSucceeded, Attempt: 2, Worker: "b1", Commit: of, Ref: "refs/heads/main", By: "ann",
		Reason: &messages.Reason{Kind: messages.ReasonPush, Link: "https://git.example.com/ops/base/commit/" + of}, Matched: "branch main",
		Image: image(digit), Received: noon(), Updated: noon().Add(time.Minute), Outcome: &m, Announced: true, Trace: strings.Repeat("ab", 16),
	}
}

// records are of an image that was current, one that is, and one that was refused.
func records(t *testing.T) *Records {
	t.Helper()
	debian := func(digit string) messages.PinnedBase {
		return messages.PinnedBase{Source: "docker.io/library/debian:12", Image: messages.Image("docker.io/library/debian@sha256:" + strings.Repeat(digit, 64))}
	}
	first, second := built(t, 11, "1", 30_000_000, debian("a")), built(t, 12, "2", 31_500_000, debian("b"))
	second.Reason = &messages.Reason{Kind: messages.ReasonBase, Detail: "docker.io/library/debian:12"}
	refused := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "base-33333333", Pipeline: "base", Order: 13}, State: messages.BuildStateFailed, Attempt: 1, Worker: "b2",
		Commit: commit, Ref: "refs/heads/main", By: "bob", Received: noon(), Updated: noon().Add(time.Hour),
		Failure: &messages.Failure{Class: messages.FailureHooks, Reason: "the hook is not valid", Fix: "close the if", Place: "pre-running:3",
			Findings: []messages.Finding{{File: "/etc/hooks/pre-running", Line: 3, Problem: "no fi", Fix: "close the if"}}},
	}
	ready := func(b messages.BuildRecord) messages.ImageReady { return *overview.MadeBy(&b) }
	rollout := "production-base-22222222"
	return &Records{
		Builds: []messages.BuildRecord{first, second, refused}, Kept: 720 * time.Hour,
		Rollouts: []messages.RolloutRecord{{
			ID: rollout, Fleet: "production", Ready: ready(second), State: messages.RolloutSoaking, Opened: noon().Add(time.Minute), FlippedAt: noon().Add(2 * time.Minute),
			Updated: noon().Add(3 * time.Minute), Members: []string{"node-1", "node-2"}, Present: 2, Trials: map[string]messages.TrialResult{"node-1": {Passed: true}},
		}},
		Fleets: map[string]messages.FleetRecord{"production": {
			Fleet: "production", Epoch: 4, Current: messages.FleetImage{Image: image("2"), Build: second.Build, Order: 12, Rollout: rollout}, Previous: messages.FleetImage{Image: image("1")},
		}},
		Members: []string{"production.node-1", "production.node-2", "production.node-3"},
		Nodes: map[string]messages.NodeStatus{
			"production.node-1": {Images: []messages.PresentImage{{Image: image("2")}}, Applied: &messages.NodeApplied{Image: image("2"), State: messages.ApplyDone, At: noon().Add(3 * time.Minute)}},
			"production.node-2": {
				Images: []messages.PresentImage{{Image: image("1")}}, Problems: []messages.ImageProblem{{Image: image("2"), Reason: "disk full"}},
				Containers: []messages.ContainerUse{{Container: "app-7", Image: string(image("1"))}}, Applied: &messages.NodeApplied{Image: image("2"), State: messages.ApplyWaiting},
			},
		},
		Pinned: func(b *messages.BuildRecord) ([]messages.PinnedBase, error) {
			if b.Build != refused.Build {
				return nil, nil
			}
			return []messages.PinnedBase{debian("b")}, nil
		},
		History: func(string) ([]fence.Change, error) {
			return []fence.Change{{
				Setting: fence.Setting{Value: string(image("2")), Revision: "7"}, At: noon().Add(2 * time.Minute), Kind: messages.FenceNATS,
				Cause: fence.Cause{Epoch: 4, Rollout: rollout, Build: second.Build, By: "fenceline", Reason: "flipped by rollout " + rollout},
			}}, nil
		},
		Receipts: func(string) (map[string][]Receipt, error) {
			return map[string][]Receipt{rollout: {
				{At: noon().Add(time.Minute), What: "preloading"},
				{At: noon().Add(90 * time.Second), Node: "node-1", What: "trial passed"},
				{At: noon().Add(100 * time.Second), Node: "node-2", What: "disk failed", Why: "disk full"},
				{At: noon().Add(2 * time.Minute), What: "flipped"},
			}}, nil
		},
	}
}

// TestChains of each kind of word.
func TestChains(t *testing.T) {
	for file, word := range map[string]string{
		"build": "base-22222222", "commit": commit[:8], "image": "sha256:" + strings.Repeat("1", 12), "base": "sha256:" + strings.Repeat("b", 8), "node": "node-2",
	} {
		t.Run(file, func(t *testing.T) {
			c, err := records(t).Of(word, false)
			if err != nil {
				t.Fatal(err)
			}
			clitest.Golden(t, "testdata/"+file+".txt", text(t, c))
			b, err := json.MarshalIndent(c, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			clitest.Golden(t, "testdata/"+file+".json", string(b)+"\n")
		})
	}
}

func text(t *testing.T, c *Chain) string {
	t.Helper()
	var out strings.Builder
	p := terminal.NewPage(&out)
	c.Write(p)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWhatIsGoneIsSaid where the record of a build is dropped, and where only a fleet still names the image.
func TestWhatIsGoneIsSaid(t *testing.T) {
	r := records(t)
	r.Builds = nil
	c, err := r.Of("base-22222222", false)
	if err != nil || len(c.Builds) != 1 || c.Builds[0].State != "gone" || c.Builds[0].Image != image("2") || !strings.Contains(text(t, c), "gone: the record of build base-22222222") {
		t.Errorf("without the build's record: %+v, %v", c, err)
	}
	r.Receipts = func(string) (map[string][]Receipt, error) { return nil, nil }
	r.History = func(string) ([]fence.Change, error) { return nil, nil }
	if c, err := r.Of("base-22222222", false); err != nil || len(c.Gone) != 3 ||
		!strings.Contains(text(t, c), "gone: what was told of rollout production-base-22222222: events are kept for 720h") ||
		!strings.Contains(text(t, c), "gone: the decision of rollout production-base-22222222: the history of the fence config of fleet production has nothing of it any more") {
		t.Errorf("without events and history: %+v, %v", c, err)
	}
	c, err = r.Of(string(image("1")), false)
	if err != nil || len(c.Builds) != 0 || !strings.Contains(text(t, c), "gone: nothing has what made the image: records of what has ended are kept for 720h") {
		t.Errorf("without anything of the image: %+v, %v", c, err)
	}
	if c, err := r.Of("node-3", false); err != nil || c.Node.Heard || !strings.Contains(text(t, c), "gone: the node is not heard") {
		t.Errorf("of a silent node: %+v, %v", c, err)
	}
}

// TestABuildForWhichNothingHadChanged says so.
func TestABuildForWhichNothingHadChanged(t *testing.T) {
	r := records(t)
	skipped := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "base-44444444", Pipeline: "base", Order: 14}, State: messages.BuildStateUnchanged, OnlyIf: messages.OnlyIfChanged,
		Commit: strings.Repeat("2", 40), Ref: "refs/heads/main", Received: noon(), Updated: noon(), Unchanged: "nothing has changed since base-22222222",
	}
	r.Builds = append(r.Builds, skipped)
	c, err := r.Of(skipped.Build, false)
	if err != nil || c.Builds[0].Unchanged != skipped.Unchanged || !strings.Contains(text(t, c), "base-44444444: unchanged") || !strings.Contains(text(t, c), skipped.Unchanged) {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestWordsThatMeanNothingOrMuch say what was searched, or what they can mean.
func TestWordsThatMeanNothingOrMuch(t *testing.T) {
	r := records(t)
	r.Members = append(r.Members, "staging.node-1")
	for word, want := range map[string]string{
		"ffffffffff": `there is no commit, image, base, build or node "ffffffffff": 3 records of builds, 0 queued ones, 1 rollouts, 1 fleets and 4 nodes were searched; records of what has ended are kept for 720h`,
		"base-":      `"base-" can be any of: build base-11111111, build base-22222222, build base-33333333; give more of it`,
		"node-1":     `"node-1" can be any of: node production.node-1, node staging.node-1`,
		"0":          "there is no commit",
		"":           "there is no commit",
		"1111":       `"1111" can be any of: commit 1111111111111111111111111111111111111111, image sha256:111`,
	} {
		if _, err := r.Of(word, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, not %q", word, err, want)
		}
	}
	if c, err := r.Of("staging.node-1", false); err != nil || c.Node.Fleet != "staging" {
		t.Errorf("FLEET.NODE gives %+v, %v", c, err)
	}
}

// TestTenThousandNodesAreCounted and only some are listed.
func TestTenThousandNodesAreCounted(t *testing.T) {
	r := records(t)
	r.Members, r.Nodes = nil, map[string]messages.NodeStatus{}
	for i := range 10_000 {
		r.Nodes[fmt.Sprintf("production.node-%05d", i)] = messages.NodeStatus{Containers: []messages.ContainerUse{{Container: "app", Image: string(image("1"))}}}
	}
	c, err := r.Of("base-22222222", false)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Builds[0].Rollouts[0].Nodes; len(n.List) != listMost || n.Unsaid != 10_000-listMost || n.OldSum != 10_000 || len(n.Old) != listMost || n.Members != 10_000 || n.Holding != 0 {
		t.Errorf("%d are listed, %d are not, %d containers of %d", len(n.List), n.Unsaid, len(n.Old), n.OldSum)
	}
	if lines := strings.Count(text(t, c), "\n"); lines > 100 {
		t.Errorf("%d lines are printed", lines)
	}
	if c, err := r.Of("base-22222222", true); err != nil || len(c.Builds[0].Rollouts[0].Nodes.List) != 10_000 {
		t.Errorf("with all: %v", err)
	}
}
