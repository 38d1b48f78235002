package decide

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// flippedRollout is the record of a rollout whose image has been current.
func flippedRollout(order uint64) messages.RolloutRecord {
	of := testFleetImage(order)
	return messages.RolloutRecord{
		ID: of.Rollout, State: messages.RolloutDone, FlippedAt: time.Unix(1, 0),
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: of.Build, Order: order}, Image: of.Image},
	}
}

// note notes what a fence config holds.
func (s *State) note(value string) {
	if c := Compare(s, value); c.Note != nil {
		s.Record.Applied = *c.Note
	}
}

func TestWhatAFenceConfigsValueMeans(t *testing.T) {
	base := func() *State {
		return &State{Record: messages.FleetRecord{
			Fleet: "default", Epoch: 3, Highest: 3, Current: testFleetImage(3), Previous: testFleetImage(2),
			Applied: messages.Applied{Epoch: 3, Value: string(testImage(3))},
		}}
	}
	held := &messages.Hold{By: "fenceline"}
	for _, c := range []struct {
		name   string
		change func(*State)
		value  string
		write  bool
		hold   bool
		noted  bool
	}{
		{"what it should be", nil, string(testImage(3)), false, false, false},
		{"what it should be, for the first time", func(s *State) { s.Record.Applied = messages.Applied{} }, string(testImage(3)), false, false, true},
		{"the image before", nil, string(testImage(2)), true, false, false},
		{"one that was flipped and is kept no more", func(s *State) { s.Rollouts = []messages.RolloutRecord{flippedRollout(1)} }, string(testImage(1)), true, false, false},
		{"one that was flipped after what a restored record has", func(s *State) { s.Rollouts = []messages.RolloutRecord{flippedRollout(4)} }, string(testImage(4)), false, true, true},
		{"nothing, before the first write", func(s *State) { s.Record.Applied = messages.Applied{} }, "", true, false, false},
		{"a person's", nil, "else", false, true, true},
		{"emptied by a person", func(s *State) { s.Record.Applied = messages.Applied{Epoch: 2, Value: string(testImage(2))} }, "", false, true, true},
		{"emptied by a person, known and held", func(s *State) { s.note(""); s.Record.Hold = held }, "", false, false, false},
		{"a person's, known and held", func(s *State) { s.note("else"); s.Record.Hold = held }, "else", false, false, false},
		{"a person's, known and held, after a time when it could not be read", func(s *State) {
			s.Record.Applied, s.Record.Hold = messages.Applied{Epoch: 3, Value: "else", Error: "the fence config can't be read"}, held
		}, "else", false, false, true},
		{"what it should be, after a time when it could not be read", func(s *State) { s.Record.Applied.Error = "can't be read" }, string(testImage(3)), false, false, true},
		{"a person's, released", func(s *State) { s.Record.Applied.Value = "else" }, "else", true, false, false},
		{"a person's, and then a rollback", func(s *State) { s.Record.Applied, s.Record.Hold = messages.Applied{Epoch: 2, Value: "else"}, held }, "else", true, false, false},
		{"a person's that came just before the first write", func(s *State) { s.Record.Applied = messages.Applied{Epoch: 2, Value: string(testImage(2))} }, "else", false, true, true},
		{"what was there before the first image", func(s *State) {
			s.Record.Applied, s.Record.Epoch = messages.Applied{Value: "stackato/stack-alsek"}, 1
		}, "stackato/stack-alsek", true, false, false},
		{"what was there before the first image, which came before the first look", func(s *State) {
			s.Record.Applied, s.Record.Epoch = messages.Applied{}, 1
		}, "stackato/stack-alsek", true, false, false},
		{"any, while there is no image", func(s *State) { s.Record = messages.FleetRecord{Fleet: "default"} }, "stackato/stack-alsek", false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base()
			if c.change != nil {
				c.change(s)
			}
			got := Compare(s, c.value)
			if got.Drive != c.write || (got.Hold != "") != c.hold || (got.Note != nil) != c.noted {
				t.Errorf("it means %+v", got)
			}
		})
	}
}
