package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// TestFailedBuilds tells of a failure until something newer has made an image.
func TestFailedBuilds(t *testing.T) {
	failed := &messages.Failure{Reason: "bad"}
	build := func(id, pipeline string, order uint64, after time.Duration, f *messages.Failure) overview.Build {
		state := messages.BuildStateSucceeded
		if f != nil {
			state = messages.BuildStateFailed
		}
		return overview.Build{Build: id, Pipeline: pipeline, Order: order, State: string(state), Updated: noon().Add(after), Failure: f}
	}
	cancelled := overview.Build{Build: "c", Pipeline: "p", Order: 9, State: string(messages.BuildStateCancelled)}
	for name, test := range map[string]struct {
		all  []overview.Build
		want string
	}{
		"nothing":                            {nil, ""},
		"a failure is the last":              {[]overview.Build{build("b", "p", 2, 2, failed), build("a", "p", 1, 1, nil)}, "b"},
		"an image came since":                {[]overview.Build{build("b", "p", 2, 2, nil), build("a", "p", 1, 1, failed)}, ""},
		"an older commit's image came later": {[]overview.Build{build("b", "p", 2, 2, failed), build("a", "p", 1, 3, nil)}, "b"},
		"a retry of the same order did it":   {[]overview.Build{build("a", "p", 2, 2, failed), build("b", "p", 2, 3, nil)}, ""},
		"a retry failed too":                 {[]overview.Build{build("b", "p", 2, 3, failed), build("a", "p", 2, 2, failed)}, "b"},
		"a cancelled build is no success":    {[]overview.Build{cancelled, build("a", "p", 1, 1, failed)}, "a"},
		"each pipeline has its own":          {[]overview.Build{build("b", "q", 4, 4, failed), build("c", "r", 3, 3, nil), build("a", "p", 1, 1, failed)}, "a b"},
	} {
		var got []string
		for _, b := range overview.FailedBuilds(test.all) {
			got = append(got, b.Build)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %q", name, got, test.want)
		}
	}
}

// TestFailedRollout tells of a failure until the fleet has that image or a newer one.
func TestFailedRollout(t *testing.T) {
	rollout := func(id string, order uint64, after time.Duration, state messages.RolloutState, image messages.Image) messages.RolloutRecord {
		return messages.RolloutRecord{
			ID: id, Fleet: "production", State: state, Updated: noon().Add(after),
			Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "b", Order: order}, Image: image},
		}
	}
	done := rollout("a", 1, 1, messages.RolloutDone, imageOne)
	one := messages.FleetImage{Image: imageOne, Order: 1}
	soaked := rollout("b", 2, 2, messages.RolloutFailed, imageTwo)
	soaked.FlippedAt = noon()
	for name, test := range map[string]struct {
		all     []messages.RolloutRecord
		current messages.FleetImage
		want    string
	}{
		"nothing":               {nil, messages.FleetImage{}, ""},
		"the first failed":      {[]messages.RolloutRecord{rollout("b", 2, 2, messages.RolloutFailed, imageTwo)}, messages.FleetImage{}, "b"},
		"a failure is the last": {[]messages.RolloutRecord{rollout("b", 2, 2, messages.RolloutFailed, imageTwo), done}, one, "b"},
		"it was rolled back":    {[]messages.RolloutRecord{rollout("b", 2, 2, messages.RolloutRolledBack, imageTwo), done}, one, "b"},
		"a newer one is flipped to": {
			[]messages.RolloutRecord{rollout("c", 3, 3, messages.RolloutSoaking, imageOne), rollout("b", 2, 2, messages.RolloutFailed, imageTwo)},
			messages.FleetImage{Image: imageOne, Order: 3}, "",
		},
		"a newer one waits": {
			[]messages.RolloutRecord{rollout("c", 3, 3, messages.RolloutHeld, imageOne), rollout("b", 2, 2, messages.RolloutFailed, imageTwo)}, one, "b",
		},
		"a person promoted it":              {[]messages.RolloutRecord{rollout("b", 2, 2, messages.RolloutRolledBack, imageTwo), done}, messages.FleetImage{Image: imageTwo, Order: 2}, ""},
		"it failed in its soak and stays":   {[]messages.RolloutRecord{soaked, done}, messages.FleetImage{Image: imageTwo, Order: 2}, "b"},
		"the record of the success is gone": {[]messages.RolloutRecord{rollout("b", 2, 2, messages.RolloutFailed, imageTwo)}, messages.FleetImage{Image: imageOne, Order: 3}, ""},
		"one aborted since":                 {[]messages.RolloutRecord{rollout("c", 3, 3, messages.RolloutAborted, imageOne), rollout("b", 2, 2, messages.RolloutFailed, imageTwo)}, one, "b"},
	} {
		got := ""
		if r := overview.FailedRollout(test.all, test.current); r != nil {
			got = r.ID
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestStatusTellsOfFailures: who is called at night reads what failed, why, and what to do.
func TestStatusTellsOfFailures(t *testing.T) {
	o := statusReport{
		Fleets: []overview.Fleet{{Fleet: "production", Failed: &messages.RolloutRecord{
			ID: "production-b", Fleet: "production", State: messages.RolloutFailed, Why: "the trial failed on node-2",
			Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "b"}, Image: imageTwo}, Updated: time.Now(),
		}}},
		Failed: []overview.Build{{Build: "c", Pipeline: "base", Updated: time.Now(), Failure: &messages.Failure{
			Class: messages.FailureHooks, Reason: "refused",
			Findings: []messages.Finding{{File: "f1"}, {File: "f2"}, {File: "f3"}, {File: "f4"}, {File: "f5", More: 7}},
		}}},
		DeadLetters: 1, LettersFull: true,
	}
	out := written(t, o.write)
	for _, want := range []string{
		"last rollout production-b: failed 0s ago: the trial failed on node-2\n    fix: mend what it names and push; was it not the image: fenceline retry b\n",
		"pipeline base: no image since build c failed 0s ago\n  f1:\n  f2:\n  f3:\n  and: 8 more; fenceline logs c\n  then push, or build the same again: fenceline retry c\n",
		"\n1 dead letter: 'fenceline dead-letters list'\n",
		"\nproblem: there is no room for more dead letters",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if len(o.Failed[0].Failure.Findings) != 5 || o.Failed[0].Failure.Findings[3].File != "f4" {
		t.Error("printing changes what there is")
	}
	o.Fleets[0].Failed.FlippedAt = time.Now()
	out = written(t, o.write)
	if want := "did not go back from it: mend the image, push, and let that follow: fenceline release production"; !strings.Contains(out, want) {
		t.Errorf("status lacks %q:\n%s", want, out)
	}
	o.Fleets[0].Failed.State = messages.RolloutRolledBack
	out = written(t, o.write)
	if want := "fenceline promote production b\n"; !strings.Contains(out, want) {
		t.Errorf("status lacks %q:\n%s", want, out)
	}
}
