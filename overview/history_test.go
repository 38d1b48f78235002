package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
)

// TestHistoryNamesCauses: each flip has the rollout that the fence config says caused it, also where an
// image's digest comes again, and what it says nothing of has that which had brought its image.
func TestHistoryNamesCauses(t *testing.T) {
	flip := func(id string, order uint64, image messages.Image, minute int) messages.RolloutRecord {
		return messages.RolloutRecord{
			ID: id, Fleet: "production", State: messages.RolloutDone, FlippedAt: noon().Add(time.Duration(minute) * time.Minute),
			Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: id, Order: order}, Image: image},
		}
	}
	change := func(image messages.Image, minute int) fence.Change {
		return fence.Change{Setting: fence.Setting{Value: string(image)}, At: noon().Add(time.Duration(minute) * time.Minute)}
	}
	a, b, c := flip("a", 1, imageOne, 0), flip("b", 2, imageTwo, 10), flip("c", 3, imageOne, 30)
	told := change(imageOne, 0)
	told.Cause = fence.Cause{Rollout: "c"}
	never := flip("z", 9, imageOne, 0)
	never.FlippedAt = time.Time{}
	for name, test := range map[string]struct {
		changes []fence.Change
		flips   []messages.RolloutRecord
		want    string
	}{
		"nothing is said":                   {[]fence.Change{change(imageOne, 0), change(imageTwo, 10), change(imageOne, 30)}, []messages.RolloutRecord{c, b, a}, "a b a"},
		"the first is remembered no longer": {[]fence.Change{change(imageTwo, 10), change(imageOne, 30)}, []messages.RolloutRecord{c, b, a}, "b a"},
		"one that was never flipped":        {[]fence.Change{change(imageOne, 0)}, []messages.RolloutRecord{never, a}, "a"},
		"a value of a person's":             {[]fence.Change{change("by/hand", 0), change(imageOne, 1)}, []messages.RolloutRecord{a}, "- a"},
		"by a rollout whose record is gone": {[]fence.Change{told}, []messages.RolloutRecord{a}, "-"},
		"what the fence config says":        {[]fence.Change{told, change(imageTwo, 10), change(imageOne, 40)}, []messages.RolloutRecord{c, b, a}, "c b c"},
		"an image set by hand":              {[]fence.Change{change(imageOne, 0)}, []messages.RolloutRecord{never}, "z"},
	} {
		var got []string
		for _, r := range causesOf(test.changes, test.flips) {
			if r == nil {
				r = &messages.RolloutRecord{ID: "-"}
			}
			got = append(got, r.ID)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}
