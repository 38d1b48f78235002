package messages

import (
	"testing"
)

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
