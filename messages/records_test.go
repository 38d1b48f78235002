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

func TestWantedNamesEachImageOnce(t *testing.T) {
	r := sampleFleetRecord()
	if got := r.Wanted(); !slices.Equal(got, []Image{sampleImage, sampleBase}) {
		t.Errorf("got %v", got)
	}
	if got := (&FleetRecord{}).Wanted(); got != nil {
		t.Errorf("an empty record wants %v", got)
	}
}

func TestFleetRecordValidate(t *testing.T) {
	for name, change := range map[string]func(*FleetRecord){
		"fleet":    func(r *FleetRecord) { r.Fleet = "a.b" },
		"current":  func(r *FleetRecord) { r.Current.Image = "a:tag" },
		"keep":     func(r *FleetRecord) { r.Keep[0].Image = "x" },
		"preload":  func(r *FleetRecord) { r.Preload.Image = "x" },
		"a base":   func(r *FleetRecord) { r.Bases.Images[0] = "x" },
		"previous": func(r *FleetRecord) { r.Previous.Image = "x@sha256:1" },
	} {
		r := sampleFleetRecord()
		change(&r)
		if r.Validate() == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}

func TestStates(t *testing.T) {
	for s, final := range map[RolloutState]bool{
		RolloutWaiting: false, RolloutPreloading: false, RolloutApproval: false, RolloutHeld: false, RolloutFlipped: false,
		RolloutSoaking: false, RolloutDone: true, RolloutFailed: true, RolloutAborted: true, RolloutSuperseded: true, RolloutRolledBack: true,
	} {
		if s.Final() != final {
			t.Errorf("%s: final is %v", s, !final)
		}
	}
	for s, ended := range map[BuildState]bool{"": false, BuildStateRunning: false, BuildStateSucceeded: true, BuildStateFailed: true, BuildStateSuperseded: true, BuildStateCancelled: true} {
		if (&BuildRecord{State: s}).Ended() != ended {
			t.Errorf("%q: ended is %v", s, !ended)
		}
	}
}

func TestFindingString(t *testing.T) {
	f := Finding{File: "pre-running", Line: 3, Problem: "if without fi", Fix: "add fi"}
	if got := f.String(); got != "pre-running:3: if without fi; add fi" {
		t.Errorf("got %s", got)
	}
	f.Line, f.Fix = 0, ""
	if got := f.String(); got != "pre-running: if without fi" {
		t.Errorf("got %s", got)
	}
}
