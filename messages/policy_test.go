package messages

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestDefaultPolicyIsValid(t *testing.T) {
	p := DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAnApplyPolicyIsChecked(t *testing.T) {
	for want, a := range map[string]*ApplyPolicy{
		"":               nil,
		"apply.quorum":   {QuorumPercent: 0, Deadline: 1},
		"apply.deadline": {QuorumPercent: 100},
	} {
		p := DefaultPolicy()
		p.Apply = a
		if err := p.Validate(); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", a, err)
		}
	}
}

// The goldens have policies as the first producers wrote them.
func TestAPolicyOfApplyingIsInItsWireForm(t *testing.T) {
	p := DefaultPolicy()
	p.Apply = &ApplyPolicy{QuorumPercent: 90, Deadline: Duration(time.Minute)}
	out, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(out), `"apply":{"quorum_percent":90,"deadline":"1m0s"}`) {
		t.Fatalf("it is %s, error %v", out, err)
	}
	var back Policy
	if err := json.Unmarshal(out, &back); err != nil || *back.Apply != *p.Apply {
		t.Errorf("read, it is %+v, error %v", back.Apply, err)
	}
}

func TestWhatANodeHasAppliedIsInItsWireForm(t *testing.T) {
	s := NodeStatus{Fleet: "production", Applied: &NodeApplied{Image: sampleImage, Revision: 7, State: ApplyDone, At: sampleTime}}
	out, err := json.Marshal(s)
	want := `"applied":{"image":"` + string(sampleImage) + `","revision":7,"state":"applied","at":"2026-02-03T04:05:06.789Z"}`
	if err != nil || !strings.Contains(string(out), want) {
		t.Fatalf("it is %s, error %v", out, err)
	}
	if out, err := json.Marshal(NodeStatus{}); err != nil || strings.Contains(string(out), `"applied"`) {
		t.Errorf("a node that applies nothing says %s, error %v", out, err)
	}
	var none *NodeApplied
	if none.Has(sampleImage) || (&NodeApplied{State: ApplyDone}).Has("") || !s.Applied.Has(sampleImage) {
		t.Error("what has nothing applied has it")
	}
}
