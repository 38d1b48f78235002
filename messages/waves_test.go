package messages

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestWaveThresholdAdmitsExactlyK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "nodes")
		rollout := rapid.StringMatching(`[a-z]{1,8}-[a-z0-9]{8}`).Draw(t, "rollout")
		nodes := make([]string, n)
		for i := range nodes {
			nodes[i] = fmt.Sprintf("dea-%d", i)
		}
		var before []string
		for _, k := range []int{-1, 0, n / 3, (n + 1) / 2, n, n + 5} {
			threshold := WaveThreshold(rollout, nodes, k)
			var in []string
			for _, node := range nodes {
				if WaveHash(rollout, node) <= threshold {
					in = append(in, node)
				}
			}
			if want := max(0, min(k, n)); len(in) != want {
				t.Fatalf("k=%d of %d admits %d", k, n, len(in))
			}
			for _, node := range before {
				if !slices.Contains(in, node) {
					t.Fatalf("%s is out again at k=%d", node, k)
				}
			}
			before = in
		}
	})
	if WaveThreshold("r", nil, 3) != 0 {
		t.Error("an empty fleet has a threshold")
	}
}

const wantHash uint64 = 13270747148262314649

func TestWaveHashIsPinned(t *testing.T) {
	// Nodes and controllers of different versions must place a node alike.
	if got := WaveHash("production-libgraphite2-abcdefgh", "dea-1"); got != wantHash {
		t.Errorf("the hash is %d, want %d", got, wantHash)
	}
}

func TestAboutTwentyNodesBesideTheCanariesAreTraced(t *testing.T) {
	for _, members := range []int{1, 20, 21, 1000, 10_000} {
		p := &Preload{FleetImage: FleetImage{Rollout: "production-base-aaaaaaaa"}, Canaries: []string{"canary"}, Traced: TraceThreshold(members)}
		traced := 0
		for i := range members {
			if p.Traces(fmt.Sprintf("node-%d", i)) {
				traced++
			}
		}
		if !p.Traces("canary") || members <= TracedNodes && traced != members || traced > 2*TracedNodes || traced < min(members, TracedNodes/2) {
			t.Errorf("of %d members %d are traced", members, traced)
		}
	}
	if old := (&Preload{}); old.Traces("node-1") {
		t.Error("without a threshold, as of older controllers, a node is traced")
	}
}
