package overview

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func at(minute int) time.Time { return noon().Add(time.Duration(minute) * time.Minute) }

// passed is a rollout that is done, with all that is told of it.
func passed() (*messages.RolloutRecord, *Course) {
	p := messages.DefaultPolicy()
	p.Approval, p.Soak, p.Canaries, p.QuorumPercent = true, messages.Duration(10*time.Minute), 1, 80
	r := &messages.RolloutRecord{
		ID: "production-b1", Fleet: "production", Policy: p, State: messages.RolloutDone, MemberCount: 10, Present: 9, Canaries: []string{"node-1"}, Approved: "ada",
		Ready:  messages.ImageReady{BuildRef: messages.BuildRef{Build: "b1", Pipeline: "base", Order: 1}, Image: image(1), Bytes: 30_000_000, Received: at(0)},
		Opened: at(3), FlippedAt: at(8), Updated: at(18), Trials: map[string]messages.TrialResult{"node-1": {Passed: true}},
		Curve: []messages.CurvePoint{{At: at(4)}, {At: at(5), Present: 1, Fetched: 30_000_000}, {At: at(6), Present: 8, Fetched: 240_000_000}, {At: at(18), Present: 10, Fetched: 240_000_000}},
	}
	c := &Course{
		Started: []Told{{At: at(1), Node: "b1"}, {At: at(2), Node: "b2"}}, Announced: at(3),
		Told: []Told{
			{At: at(3), State: messages.RolloutWaiting},
			{At: at(4), State: messages.RolloutPreloading, Members: 10},
			{At: at(5), Node: "node-1", Passed: true},
			{At: at(6), State: messages.RolloutApproval, Members: 10, Present: 8},
			{At: at(7), State: messages.RolloutHeld, By: "ada", Why: "approved: tried by hand", Members: 10},
			{At: at(8), State: messages.RolloutFlipped, Members: 10, Present: 9, Epoch: 4},
			{At: at(9), State: messages.RolloutSoaking, Members: 10},
			{At: at(10), State: messages.RolloutHeld, By: "bob", Why: "held: lunch"},
			{At: at(18), State: messages.RolloutDone, Members: 10},
		},
	}
	return r, c
}

func texts(steps []Step) string {
	var out []string
	for _, s := range steps {
		line := s.Name + " " + string(s.State)
		if s.Known() {
			line += " " + s.At.Format("15:04")
		}
		if s.Bytes > 0 {
			line += " " + messages.Size(s.Bytes)
		}
		out = append(out, line+" "+s.Says)
	}
	return strings.Join(out, "\n")
}

func TestStepsOfARolloutThatIsDone(t *testing.T) {
	r, c := passed()
	got := texts(StepsOf(r, c))
	for _, want := range []string{
		"requested taken 12:00", "build begun taken 12:02 on b2, attempt 2", "image pushed taken 12:03 30.0 MB", "opened taken 12:03",
		"preloading taken 12:04 240.0 MB 10 members", "canaries' trials taken 12:05 1 of 1 passed", "quorum taken 12:06 8 of 10 members must have it",
		"approved taken 12:07 by ada: tried by hand", "flipped taken 12:08 epoch 4", "soak taken 12:09 of 10m", "done taken 12:18",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "held") {
		t.Errorf("a hold that somebody set later is a step of it:\n%s", got)
	}
	var said []string
	for _, d := range DecisionsOf(r, nil, map[string][]Told{r.ID: c.Told}) {
		said = append(said, d.By+" "+d.What+" "+d.Why)
	}
	if got := strings.Join(said, "\n"); got != "ada approve approved: tried by hand\nfenceline flip epoch 4\nbob hold held: lunch" {
		t.Errorf("decided was\n%s", got)
	}
}

// TestAnImageThatIsPromotedAgainIsFlippedAgain: the step says which of its flips the record speaks of.
func TestAnImageThatIsPromotedAgainIsFlippedAgain(t *testing.T) {
	r, c := passed()
	r.FlippedAt = at(30)
	c.Told = append(c.Told, Told{At: at(20), State: messages.RolloutRolledBack, By: "bob", Why: "rolled back"}, Told{At: at(30), State: messages.RolloutFlipped, Members: 10, Present: 10, Epoch: 6})
	if got := texts(StepsOf(r, c)); !strings.Contains(got, "flipped taken 12:30 epoch 6") {
		t.Errorf("the steps are\n%s", got)
	}
}

// TestStepsOfAnOldRecord say of each moment that nothing has that it is not known, and make none up.
func TestStepsOfAnOldRecord(t *testing.T) {
	r, _ := passed()
	r.Curve = nil
	steps := StepsOf(r, &Course{})
	got := texts(steps)
	for _, want := range []string{
		"build begun unknown the event", "image pushed unknown 30.0 MB", "preloading unknown the event", "canaries' trials unknown", "quorum unknown",
		"approved unknown by ada", "soak unknown", "flipped taken 12:08", "done taken 12:18",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
	if d := DecisionsOf(r, nil, nil); len(d) != 1 || d[0].By != "ada" || !d[0].At.IsZero() {
		t.Errorf("decided was %+v", d)
	}
	points, told := (&Course{}).CurveOf(r)
	if len(points) != 0 || !told {
		t.Errorf("its curve is %+v", points)
	}
}

// TestTheCurveOfAnOldRecordIsOfItsEvents as long as they are kept.
func TestTheCurveOfAnOldRecordIsOfItsEvents(t *testing.T) {
	r, c := passed()
	r.Curve = nil
	points, told := c.CurveOf(r)
	if !told || len(points) < 3 || points[0].Present != 0 || points[1].Present != 8 {
		t.Errorf("it is %+v", points)
	}
	for _, s := range StepsOf(r, c) {
		if s.Name == "quorum" && !s.At.Equal(at(6)) {
			t.Errorf("the quorum was there %+v", s)
		}
	}
}

func TestStepsOfRolloutsThatEndedOrGoOn(t *testing.T) {
	r, c := passed()
	r.State, r.FlippedAt, r.Approved, r.Aborted, r.Why = messages.RolloutAborted, time.Time{}, "", "bob", "aborted by bob"
	c.Told = append(c.Told[:4], Told{At: at(7), State: messages.RolloutAborted, By: "bob", Why: "aborted: it leaks"})
	if got := texts(StepsOf(r, c)); !strings.Contains(got, "flipped never") || !strings.Contains(got, "approved never") || !strings.Contains(got, "aborted taken 12:07 aborted by bob") {
		t.Errorf("of an aborted one:\n%s", got)
	}
	r, c = passed()
	r.State, r.FlippedAt, r.Approved, r.Why = messages.RolloutApproval, time.Time{}, "", "waits for approval"
	c.Told = c.Told[:4]
	if got := texts(StepsOf(r, c)); !strings.Contains(got, "approved now waits for approval") || !strings.Contains(got, "flipped ahead") || !strings.Contains(got, "end ahead") {
		t.Errorf("of one that waits:\n%s", got)
	}
}
