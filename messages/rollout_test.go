package messages

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestARolloutsReasonsAreInTheirWireForm, and records from before there were any are read and written as they were.
func TestARolloutsReasonsAreInTheirWireForm(t *testing.T) {
	const before = `"approved":"ann","aborted":"bob"`
	r := RolloutRecord{ID: "production-base-1", Fleet: "production", Approved: "ann", Aborted: "bob"}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), before) || strings.Contains(string(b), "_why") {
		t.Errorf("without reasons it is %s, %v", b, err)
	}
	r.ApprovedWhy, r.AbortedWhy = "tried by hand", "it leaks"
	b, err = json.Marshal(r)
	if err != nil || !strings.Contains(string(b), before+`,"approved_why":"tried by hand","aborted_why":"it leaks"`) {
		t.Errorf("with reasons it is %s, %v", b, err)
	}
	var got RolloutRecord
	if err := json.Unmarshal(b, &got); err != nil || got.ApprovedWhy != r.ApprovedWhy || got.AbortedWhy != r.AbortedWhy {
		t.Errorf("read, it is %+v, %v", got, err)
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
