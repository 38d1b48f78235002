package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// holding is an installation whose fleet production has nodes that hold the current image.
func holding(t *testing.T, change func(node string, s *messages.NodeStatus)) *queue.Client {
	t.Helper()
	c := installation(t)
	create(t, store.Fleets(c), "production", messages.FleetRecord{
		Fleet: "production", Epoch: 2, Decision: "d", Highest: 12, Applied: messages.Applied{Epoch: 2},
		Current:  messages.FleetImage{Image: imageTwo, Build: "base-bbbbbbbb", Order: 12, Rollout: "production-base-bbbbbbbb"},
		Previous: messages.FleetImage{Image: imageOne, Build: "base-aaaaaaaa", Order: 11},
	})
	for n, node := range []string{"node-1", "node-2"} {
		key := messages.NodeKey("production", node)
		create(t, store.Members(c), key, messages.Member{Fleet: "production", Node: node, Joined: noon()})
		s := messages.NodeStatus{
			Fleet: "production", Node: node, Instance: "i", Beat: uint64(n), Interval: messages.Duration(time.Minute), Revision: 1,
			Images: []messages.PresentImage{{Image: imageTwo, ID: "sha256:aa", Local: "l"}},
		}
		change(node, &s)
		create(t, store.Nodes(c), key, s)
	}
	return c
}

// TestWhoDoesNotCount is not counted as holding the image.
func TestWhoDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string, *messages.NodeStatus)
		says   []string
	}{
		"both do": {func(string, *messages.NodeStatus) {}, []string{"present on 2 of 2"}},
		"twins":   {func(n string, s *messages.NodeStatus) { s.Twin = n == "node-2" }, []string{"present on 1 of 2", "node node-2: two distributors have this name"}},
		"one engine": {func(_ string, s *messages.NodeStatus) { s.Engine.ID = "one" }, []string{
			"present on 1 of 2", "node node-2: its engine is that of node-1 too",
		}},
		"what a node can't fetch": {func(n string, s *messages.NodeStatus) {
			if n == "node-2" {
				s.Images, s.Problems = nil, []messages.ImageProblem{{Image: imageTwo, Reason: "the registry refuses access"}}
			}
		}, []string{"present on 1 of 2", "node node-2: failed registry.example.com/exampleco/base@222222222222: the registry refuses access"}},
	} {
		t.Run(name, func(t *testing.T) {
			holding(t, c.change)
			out := done(t, "status")
			for _, part := range c.says {
				if !strings.Contains(out, part) {
					t.Errorf("status does not say %q: %s", part, out)
				}
			}
			if nodes := done(t, "nodes"); len(c.says) > 1 && !strings.Contains(nodes, strings.TrimPrefix(c.says[1], "node node-2: ")) {
				t.Errorf("nodes does not say it: %s", nodes)
			}
		})
	}
}

// TestRollbackSaysHowManyHoldTheImage and is refused where they are no quorum, unless it is forced.
func TestRollbackSaysHowManyHoldTheImage(t *testing.T) {
	holding(t, func(node string, s *messages.NodeStatus) {
		if s.Interval = messages.Duration(50 * time.Millisecond); node == "node-1" {
			s.Images = append(s.Images, messages.PresentImage{Image: imageOne, ID: "sha256:bb", Local: "l"})
		}
	})
	s := fenceline(t, "rollback", "--wait", "0")
	if s.status != ExitFailed || !strings.Contains(s.err, "2 of 2 members must have it") || !strings.Contains(s.err, "--force") {
		t.Errorf("below the quorum: %+v", s)
	}
	if out := done(t, "rollback", "--wait", "0", "--force"); !strings.Contains(out, "present on ") || !strings.Contains(out, " of 2 nodes") {
		t.Errorf("forced: %s", out)
	}
}

// TestABrokenRolloutIsSaid names the record that nobody can read.
func TestABrokenRolloutIsSaid(t *testing.T) {
	c := holding(t, func(string, *messages.NodeStatus) {})
	broken := queue.NewTexts(c, c.Space().RolloutsBucket(), "*")
	create(t, broken, "production-base-cccccccc", "{")
	if out := done(t, "status"); !strings.Contains(out, "rollout production-base-cccccccc has a record that can't be read") {
		t.Errorf("status says: %s", out)
	}
	if out := done(t, "status", "-o", "json"); !strings.Contains(out, `"production-base-cccccccc"`) {
		t.Errorf("as JSON: %s", out)
	}
}
