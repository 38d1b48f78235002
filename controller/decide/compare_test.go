package decide

import (
	"strings"
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
	if c := Compare(s, messages.FenceNATS, value); c.Note != nil {
		s.Record.Applied = *c.Note
	}
}

// byHand has a person set the fence config through a controller.
func (s *State) byHand(value string) {
	s.Record = *SetByHand(s, messages.FenceNATS, value, "ada", "a trial").Fleet
}

func TestSettingByHandTakesAHold(t *testing.T) {
	s := &State{Record: messages.FleetRecord{Fleet: "default", Epoch: 3, Current: testFleetImage(3), Previous: testFleetImage(2)}}
	out := SetByHand(s, messages.FenceKato, string(testImage(2)), "ada", "a trial")
	if h := out.Fleet.Hold; h == nil || h.By != "ada" || !strings.HasSuffix(h.Reason, ": a trial") || h.Epoch != 0 || out.Event == nil || out.Event.State != messages.RolloutHeld {
		t.Errorf("the hold is %+v, the event %+v", h, out.Event)
	}
	if a := out.Fleet.Applied; !a.ByHand || a.Store != messages.FenceKato || a.Value != string(testImage(2)) || a.Error == "" {
		t.Errorf("the record says %+v", a)
	}
	for name, change := range map[string]func(*State){
		"the current image":         func(s *State) { s.Record.Current = testFleetImage(2) },
		"before there is any image": func(s *State) { s.Record.Current = messages.FleetImage{} },
	} {
		s := &State{Record: s.Record}
		change(s)
		if out := SetByHand(s, messages.FenceKato, string(testImage(2)), "ada", "a trial"); out.Fleet.Hold != nil || out.Event != nil || out.Fleet.Applied.ByHand || out.Fleet.Applied.Error != "" {
			t.Errorf("%s: %+v", name, out.Fleet)
		}
	}
}

// TestSettingByHandWhatIsHeld: the hold says what was set last, by whom and why, and why the fleet was held
// before anybody set anything.
func TestSettingByHandWhatIsHeld(t *testing.T) {
	s := &State{Record: messages.FleetRecord{Fleet: "default", Epoch: 3, Current: testFleetImage(3), Hold: &messages.Hold{By: "bob", Reason: "freeze", Epoch: 3}}}
	for _, set := range []struct{ by, value, reason, says string }{
		{"ada", "one", "a trial", "set the fence config to one: a trial; held before by bob: freeze"},
		{"eve", "two", "a fix", "set the fence config to two: a fix; held before by bob: freeze"},
	} {
		out := SetByHand(s, messages.FenceKato, set.value, set.by, set.reason)
		if h := out.Fleet.Hold; h.By != set.by || h.Reason != set.says || h.Epoch != 0 {
			t.Errorf("it is held as %+v", h)
		}
		if e := out.Event; e == nil || e.By != set.by || e.Why != set.says {
			t.Errorf("the event is %+v", e)
		}
		s.Record = *out.Fleet
	}
	if out := SetByHand(s, messages.FenceKato, string(testImage(3)), "ada", "back"); out.Fleet.Hold.By != "eve" || out.Event != nil {
		t.Errorf("with the current image set it is held as %+v", out.Fleet.Hold)
	}
	unseen := &State{Record: messages.FleetRecord{Fleet: "default", Epoch: 3, Current: testFleetImage(3),
		Applied: messages.Applied{Epoch: 3, Value: string(testImage(3)), Store: messages.FenceKato}}}
	c := Compare(unseen, messages.FenceKato, "else") // somebody set it past the controller
	unseen.Record.Applied, unseen.Record.Hold = *c.Note, &messages.Hold{By: "fenceline", Reason: c.Hold}
	if h := SetByHand(unseen, messages.FenceKato, "one", "ada", "a trial").Fleet.Hold; h.Reason != "set the fence config to one: a trial" {
		t.Errorf("over a value of somebody else it is held as %+v", h)
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
		{"an earlier image, set by hand and held", func(s *State) { s.byHand(string(testImage(2))) }, string(testImage(2)), false, false, false},
		{"an earlier image, set by hand, after a time when it could not be read", func(s *State) {
			s.byHand(string(testImage(2)))
			s.Record.Applied.Error = "can't be read"
		}, string(testImage(2)), false, false, true},
		{"an earlier image, set by hand and released", func(s *State) { s.byHand(string(testImage(2))); s.Record.Hold = nil }, string(testImage(2)), true, false, false},
		{"an earlier image, set by hand, and then a decision", func(s *State) {
			s.byHand(string(testImage(2)))
			Forward(&s.Record, testFleetImage(4), 2)
		}, string(testImage(2)), true, false, false},
		{"another earlier one after one that was set by hand", func(s *State) {
			s.byHand(string(testImage(2)))
			s.Record.Keep = []messages.FleetImage{testFleetImage(1)}
		}, string(testImage(1)), true, false, false},
		{"what is there in a place that was not looked at", func(s *State) { s.Record.Applied.Store = messages.FenceKato }, "stackato/stack-alsek", true, false, false},
		{"what it should be, in a place that was not looked at", func(s *State) { s.Record.Applied.Store = messages.FenceKato }, string(testImage(3)), false, false, true},
		{"any, while there is no image", func(s *State) { s.Record = messages.FleetRecord{Fleet: "default"} }, "stackato/stack-alsek", false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base()
			if c.change != nil {
				c.change(s)
			}
			got := Compare(s, messages.FenceNATS, c.value)
			if got.Drive != c.write || (got.Hold != "") != c.hold || (got.Note != nil) != c.noted {
				t.Errorf("it means %+v", got)
			}
		})
	}
}
