package decide

import (
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// Comparison is what is to be done about a value of the fence config.
type Comparison struct {
	Drive bool              // drive the fence config to the current image
	Note  *messages.Applied // what the fleet's record is to say; nil where it says so already
	Hold  string            // why a hold is to be set, or ""
}

// Compare judges a value of the fence config. A value of an earlier decision of ours, or the one
// that was there before the first, is driven to the current image. Any other value is a person's: it
// sets a hold and is not fought, until a later decision, or the release of the hold, says to go on.
func Compare(s *State, value string) Comparison {
	r := &s.Record
	want := r.FenceValue()
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

// isOurs tells whether a value may be overwritten: whether it comes from an earlier decision about
// this fleet, or was there before the first. An empty fence config is a person's doing once we have
// written to it.
func (s *State) isOurs(value string) bool {
	// Nothing was written yet: what is there was there before us, where it is empty now, or was
	// never looked at before the first flip.
	if a := &s.Record.Applied; a.Epoch == 0 && (value == "" || a.Value == "") {
		return true
	}
	if value == "" {
		return false
	}
	if s.Record.Names(value, s.Record.Current.Image) { // in the other form
		return true
	}
	for _, i := range Kept(&s.Record) {
		if s.Record.Names(value, i.Image) {
			return true
		}
	}
	for _, r := range s.Rollouts {
		// An image above the highest order was flipped by a later decision, which a record that
		// was restored from a backup has lost: whether to go back from it is a person's decision.
		if s.Record.Names(value, r.Ready.Image) && !r.FlippedAt.IsZero() && r.Ready.Order <= s.Record.Highest {
			return true
		}
	}
	return false
}
