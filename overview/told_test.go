package overview

import (
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestWhatIsDecidedIsReadAlone: what nodes told is not read where nobody asks for it, wherever it stands.
func TestWhatIsDecidedIsReadAlone(t *testing.T) {
	q := queuetest.Start(t).Connect(t)
	queuetest.Must(t, store.Declare(queuetest.Within(t), q, store.Layout{}))
	for _, p := range []messages.Payload{
		&messages.RolloutChanged{Fleet: "production", Rollout: "r", State: messages.RolloutHeld, By: "ann", Why: "held"},
		&messages.RolloutChanged{Fleet: "staging", Rollout: "s", State: messages.RolloutHeld, By: "ann", Why: "held"},
		&messages.NodeFailed{Fleet: "production", Node: "n", Rollout: "r", Step: "pull", Reason: "gone"},
		&messages.TrialFinished{Fleet: "production", Node: "n", Rollout: "r"},
	} {
		queuetest.Must(t, q.Publish(queuetest.Within(t), "", p))
	}
	all, err := ToldOfFleet(t.Context(), q, "production")
	if err != nil || len(all) != 1 || len(all["r"]) != 3 {
		t.Errorf("told was %+v, %v", all, err)
	}
	decided, err := DecidedInFleet(t.Context(), q, "production")
	if err != nil || len(decided) != 1 || len(decided["r"]) != 1 || decided["r"][0].By != "ann" {
		t.Errorf("decided was %+v, %v", decided, err)
	}
}
