package overview

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
	a, b, c := flip("a", 1, image(1), 0), flip("b", 2, image(2), 10), flip("c", 3, image(1), 30)
	told := change(image(1), 0)
	told.Cause = fence.Cause{Rollout: "c"}
	never := flip("z", 9, image(1), 0)
	never.FlippedAt = time.Time{}
	for name, test := range map[string]struct {
		changes []fence.Change
		flips   []messages.RolloutRecord
		want    string
	}{
		"nothing is said":                   {[]fence.Change{change(image(1), 0), change(image(2), 10), change(image(1), 30)}, []messages.RolloutRecord{c, b, a}, "a b a"},
		"the first is remembered no longer": {[]fence.Change{change(image(2), 10), change(image(1), 30)}, []messages.RolloutRecord{c, b, a}, "b a"},
		"one that was never flipped":        {[]fence.Change{change(image(1), 0)}, []messages.RolloutRecord{never, a}, "a"},
		"a value of a person's":             {[]fence.Change{change("by/hand", 0), change(image(1), 1)}, []messages.RolloutRecord{a}, "- a"},
		"by a rollout whose record is gone": {[]fence.Change{told}, []messages.RolloutRecord{a}, "-"},
		"what the fence config says":        {[]fence.Change{told, change(image(2), 10), change(image(1), 40)}, []messages.RolloutRecord{c, b, a}, "c b c"},
		"an image set by hand":              {[]fence.Change{change(image(1), 0)}, []messages.RolloutRecord{never}, "z"},
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

// TestHowAFleetGoesBack to each image that it had, or why it can't.
func TestHowAFleetGoesBack(t *testing.T) {
	of := func(n int) messages.FleetImage { return messages.FleetImage{Image: image(n), Order: uint64(n)} }
	f := &messages.FleetRecord{Current: of(5), Previous: of(4), Keep: []messages.FleetImage{of(7), of(3)}}
	known := messages.RolloutRecord{ID: "production-2", Policy: messages.DefaultPolicy(), Ready: messages.ImageReady{Image: image(2)}}
	for name, test := range map[string]struct {
		n    int
		has  int
		want Again
		why  string
	}{
		"an older one that is kept":       {4, 10, Again{Rollback: true}, ""},
		"one further back":                {3, 10, Again{Rollback: true}, ""},
		"a newer one, left by a rollback": {7, 10, Again{}, ""},
		"one that a rollout names":        {2, 10, Again{}, ""},
		"the current one":                 {5, 10, Again{}, "it is current"},
		"one that nobody names":           {1, 0, Again{}, "build it again"},
		"one that no node has":            {4, 0, Again{}, "no node has it"},
		"one that few nodes have":         {4, 1, Again{}, "only 1 of 10 nodes have it"},
	} {
		got := AgainTo(f, []messages.RolloutRecord{known}, &PastValue{Digest: image(test.n).Digest()}, test.has, 10)
		if got.Rollback != test.want.Rollback || (got.Why == "") != (test.why == "") || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := AgainTo(f, nil, &PastValue{Value: "by/hand"}, 0, 10); got.Why == "" {
		t.Error("a value that is no image can be made current again")
	}
}

// TestAYearLater the records of rollouts are gone, and the history has what the fence config keeps.
func TestAYearLater(t *testing.T) {
	c := fence.Change{Setting: fence.Setting{Value: string(image(1))}, At: noon(), Cause: fence.Cause{Epoch: 7, Rollout: "production-b1", Build: "b1", Order: 1, By: "ada", Reason: "promoted: it is good"}}
	v := pastValues([]fence.Change{c}, nil)
	if len(v) != 1 || v[0].Epoch != 7 || v[0].By != "ada" || v[0].Reason != "promoted: it is good" || v[0].Build != "b1" || v[0].Rollout != "production-b1" || v[0].Ref != "" {
		t.Errorf("it has %+v", v)
	}
}
