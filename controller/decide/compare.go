package decide

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Comparison is what is to be done about a value of the fence config.
type Comparison struct {
	Drive bool              // drive the fence config to the current image
	Note  *messages.Applied // what the fleet's record is to say; nil where it says so already
	Hold  string            // why a hold is to be set, or ""
}

// Compare judges a value of the fence config, which lives in a place of messages.FenceKinds. A value of an
// earlier decision of ours, or the one that was there before the first, is driven to the current image. Any
// other value is a person's, and so is one that they set through a controller: it
// sets a hold and is not fought, until a later decision, or the release of the hold, says to go on. A place
// that was not looked at yet is one that nothing was decided about: its value was there before.
func Compare(s *State, kind, value string) Comparison {
	r := &s.Record
	want := r.FenceValue()
	last := s.lastSeen(kind)
	note := messages.Applied{Epoch: r.Epoch, Value: value, Store: storeOf(kind)}
	known := value == last.Value && last.Epoch == r.Epoch
	hold := ""
	switch {
	case want == "", value == want:
	case known && last.ByHand && r.Hold != nil:
		note = byHand(r, kind, value)
	case s.isOurs(value, last), value == last.Value && (last.Epoch < r.Epoch || r.Hold == nil):
		return Comparison{Drive: true}
	default:
		hold = fmt.Sprintf("the fence config was set to %q by somebody else", value)
		note.Error = fmt.Sprintf("%s; fenceline release %s drives it to %s again", hold, r.Fleet, want)
	}
	if r.Applied == note {
		return Comparison{}
	}
	if known { // it is held already
		hold = ""
	}
	return Comparison{Note: &note, Hold: hold}
}

// Moved says that a fence config is seen in another place than before, and what it names there; "" where it is
// not, or has still to be driven.
func Moved(s *State, c Comparison) string {
	was := &s.Record.Applied
	if c.Note == nil || c.Note.Error != "" || was.Epoch == 0 || was.Store == c.Note.Store {
		return ""
	}
	return fmt.Sprintf("the fence config lives in %s now, and not in %s: it names the current image there", kindOf(c.Note.Store), kindOf(was.Store))
}

// isOurs tells whether a value may be overwritten: whether it comes from an earlier decision about
// this fleet, or was there before the first. An empty fence config is a person's doing once we have
// written to it.
func (s *State) isOurs(value string, last messages.Applied) bool {
	// Nothing was written yet: what is there was there before us, where it is empty now, or was
	// never looked at before the first flip.
	if last.Epoch == 0 && (value == "" || last.Value == "") {
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

// SetByHand is the step that takes in what a person set through a controller: it is theirs, whatever was
// decided for that image before, and takes the hold of a person's value. Of a fleet that is held already the
// hold says what was set last, and why it was held before.
func SetByHand(s *State, kind, value, by, reason string) Step {
	out := s.ChangeFleet(func(r *messages.FleetRecord) {
		r.Applied = byHand(r, kind, value)
		if r.Applied.ByHand {
			r.Hold = new(NewHold(by, fmt.Sprintf("set the fence config to %s: %s", value, reason)+earlierHold(r.Hold, &s.Record.Applied), s.Now))
		}
	})
	if out.Fleet.Applied.ByHand {
		out.Event = AboutFleet(out.Fleet, messages.RolloutHeld, out.Fleet.Hold.Reason, by)
	}
	return out
}

const (
	heldBefore = "; held before by "
	// beforeMost bounds, in bytes, what a hold says of the one before it.
	beforeMost = 500
)

// earlierHold is what a hold of a person's value says of the one that it takes the place of: nothing where that was
// for another value, but what stood before that.
func earlierHold(h *messages.Hold, was *messages.Applied) string {
	if h == nil {
		return ""
	}
	_, reason, again := strings.Cut(h.Reason, heldBefore)
	switch {
	case again:
		return heldBefore + reason
	case was.ByHand, strings.HasPrefix(was.Error, h.Reason): // as Compare has it
		return ""
	}
	return heldBefore + fitText(h.By+": "+h.Reason, beforeMost)
}

// byHand is what the record says of a value that a person set through a controller. One that is the current
// image, or that stands before there is any, is no more theirs than ours.
func byHand(r *messages.FleetRecord, kind, value string) messages.Applied {
	note := messages.Applied{Epoch: r.Epoch, Value: value, Store: storeOf(kind)}
	if want := r.FenceValue(); want != "" && value != want {
		note.ByHand = true
		note.Error = fmt.Sprintf("the fence config was set to %q by hand; fenceline release %s drives it to %s again", value, r.Fleet, want)
	}
	return note
}

// lastSeen is what the record says of a place; nothing where it is about another.
func (s *State) lastSeen(kind string) messages.Applied {
	if s.Record.Applied.Store != storeOf(kind) {
		return messages.Applied{}
	}
	return s.Record.Applied
}

// kindOf is a kind of place as people name it.
func kindOf(store string) string { return cmp.Or(store, messages.FenceNATS) }

// storeOf is a kind of place as the record names it.
func storeOf(kind string) string {
	if kind == messages.FenceNATS {
		return ""
	}
	return kind
}
