package decide

import (
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// comparison is what a fence config's value means for the record, and what to do.
type Comparison struct {
	Drive bool              // drive the fence config to the current image
	Note  *messages.Applied // what the record is to say, or nil where it says so
	Hold  string            // why a hold is to be set, or ""
}

// compare judges a value of the fence config. A value of an earlier decision of ours, or
// the one that was there before the first, is driven to the current image. Any other is a
// person's: it is not fought, until a later decision or a release says to go on.
func Compare(s *State, value string) Comparison {
	r := &s.Record
	want := string(r.Current.Image)
	note := messages.Applied{Epoch: r.Epoch, Value: value}
	known := value == r.Applied.Value && r.Applied.Epoch == r.Epoch
	switch {
	case want == "", value == want:
	case s.isOurs(value), value == r.Applied.Value && (r.Applied.Epoch < r.Epoch || r.Hold == nil):
		return Comparison{Drive: true}
	default:
		note.Error = fmt.Sprintf("the fence config was set to %q by somebody else; fenceline release %s drives it to %s again", value, r.Fleet, want)
	}
	if r.Applied == note {
		return Comparison{}
	}
	c := Comparison{Note: &note}
	if !known { // else it is held already
		c.Hold = note.Error
	}
	return c
}

// ours tells whether a value comes from an earlier decision about this fleet. An empty
// fence config is nobody's decision before the first write, and a person's after it; nor is
// any value somebody's where the first flip came before the first look. An image above the
// highest order comes from a later decision, which a restored record has lost: to go back
// from it is not this controller's to decide.
func (s *State) isOurs(value string) bool {
	if a := &s.Record.Applied; a.Epoch == 0 && (value == "" || a.Value == "") {
		return true
	}
	if value == "" {
		return false
	}
	for _, i := range Kept(&s.Record) {
		if string(i.Image) == value {
			return true
		}
	}
	for _, r := range s.Rollouts {
		if string(r.Ready.Image) == value && !r.FlippedAt.IsZero() && r.Ready.Order <= s.Record.Highest {
			return true
		}
	}
	return false
}
