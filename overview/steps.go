package overview

import (
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
)

// Step is a step of a rollout on its way from the push to its end.
type Step struct {
	Name  string
	At    time.Time // zero where it is not known, or has not come
	State StepState
	Says  string // what is known of it, or why its moment is not
	Bytes int64  // of the image, or that were fetched; 0 where there is nothing to say
}

// StepState is whether a step was taken.
type StepState string

// The states of a step.
const (
	StepTaken   StepState = "taken"
	StepUnknown StepState = "unknown" // taken, at a moment that no record has
	StepNow     StepState = "now"     // the rollout is at it
	StepAhead   StepState = "ahead"
	StepNever   StepState = "never" // it ended before
)

// Known tells whether the step's moment is known.
func (s *Step) Known() bool { return !s.At.IsZero() }

// stepper puts steps together.
type stepper struct {
	r *messages.RolloutRecord
	c *Course
}

// StepsOf are the steps of a rollout, in their order, as far as records and events tell of them.
func StepsOf(r *messages.RolloutRecord, c *Course) []Step {
	s := stepper{r, c}
	out := []Step{s.requested(), s.built(), s.pushed(), s.opened(), s.preloading()}
	if !r.Policy.Trial.Disabled && r.Policy.Canaries > 0 {
		out = append(out, s.trials())
	}
	out = append(out, s.quorum())
	if r.Policy.Approval {
		out = append(out, s.approval())
	}
	if t := s.first(messages.RolloutHeld); t != nil {
		out = append(out, s.seen("held", t))
	}
	out = append(out, s.flipped())
	if r.Policy.Soak > 0 || s.first(messages.RolloutSoaking) != nil {
		out = append(out, s.soak())
	}
	return append(out, s.ended())
}

// first is the first that a controller told of the rollout in a state, or nil. What it tells of the fleet counts no members.
func (s *stepper) first(of messages.RolloutState) *Told {
	for i := range s.c.Told {
		if t := &s.c.Told[i]; t.State == of && t.By == "" && t.Members > 0 {
			return t
		}
	}
	return nil
}

func (s *stepper) seen(name string, t *Told) Step {
	return Step{Name: name, At: t.At, State: StepTaken, Says: t.Because()}
}

// gone says why a moment is not known that events would tell.
const gone = "the event that told it is gone, or was never stored"

// missing is a step that was taken at a moment that isn't known, or one that was not taken.
func (s *stepper) missing(name string, taken bool, says string) Step {
	switch {
	case taken:
		return Step{Name: name, State: StepUnknown, Says: says}
	case s.r.State.Final():
		return Step{Name: name, State: StepNever}
	}
	return Step{Name: name, State: StepAhead}
}

func (s *stepper) requested() Step {
	r, says := &s.r.Ready, ""
	if r.Reason != nil {
		says = r.Reason.String()
	}
	if b := s.c.Build; b != nil && b.By != "" {
		says = WithReason("by "+b.By, says)
	}
	if r.Received.IsZero() {
		return s.missing("requested", true, "it is not in the record")
	}
	return Step{Name: "requested", At: r.Received, State: StepTaken, Says: says}
}

func (s *stepper) built() Step {
	n := len(s.c.Started)
	if n == 0 {
		return s.missing("build begun", true, gone)
	}
	last := s.c.Started[n-1]
	says := "on " + last.Node
	if n > 1 {
		says += fmt.Sprintf(", attempt %d", n)
	}
	return Step{Name: "build begun", At: last.At, State: StepTaken, Says: says}
}

func (s *stepper) pushed() Step {
	step := Step{Name: "image pushed", At: s.c.Announced, State: StepTaken, Bytes: s.r.Ready.Bytes}
	if b := s.c.Build; b != nil && b.Outcome != nil {
		if e, _, err := messages.Decode(*b.Outcome); err == nil && !e.Time.IsZero() {
			step.At = e.Time
		}
	}
	if !step.Known() {
		step.State, step.Says = StepUnknown, gone
	}
	return step
}

func (s *stepper) opened() Step {
	if s.r.Opened.IsZero() {
		return s.missing("opened", true, "it is not in the record")
	}
	step := Step{Name: "opened", At: s.r.Opened, State: StepTaken}
	if s.r.State == messages.RolloutWaiting {
		step.State, step.Says = StepNow, s.r.Why
	}
	return step
}

func (s *stepper) preloading() Step {
	r := s.r
	began := r.Counts() > 0 || len(r.Curve) > 0
	t := s.first(messages.RolloutPreloading)
	step := s.missing("preloading", began, gone)
	if t != nil {
		step = Step{Name: "preloading", At: t.At, State: StepTaken}
	} else if len(r.Curve) > 0 {
		step.At, step.State, step.Says = r.Curve[0].At, StepTaken, ""
	}
	if began {
		step.Says = joined(step.Says, Counted(r.Counts(), "member"))
	}
	if n := len(r.Curve); n > 0 && r.Curve[n-1].Fetched > 0 {
		step.Bytes = r.Curve[n-1].Fetched
		step.Says = joined(step.Says, "fetched by all together, as far as they told before the flip")
	}
	if r.State == messages.RolloutPreloading {
		step.State, step.Says = StepNow, joined(step.Says, r.Why)
	}
	return step
}

func (s *stepper) trials() Step {
	r := s.r
	passed := 0
	for _, t := range r.Trials {
		if t.Passed {
			passed++
		}
	}
	var last time.Time
	for _, t := range s.c.Told {
		if t.Node != "" {
			last = t.At
		}
	}
	step := s.missing("canaries' trials", len(r.Trials) > 0, gone)
	if !last.IsZero() {
		step = Step{Name: "canaries' trials", At: last, State: StepTaken}
	}
	if len(r.Trials) > 0 {
		step.Says = joined(step.Says, fmt.Sprintf("%d of %d passed", passed, len(r.Trials)))
	}
	return step
}

// quorum is when it was first written that so many members as must have the image have it.
func (s *stepper) quorum() Step {
	r := s.r
	needed := decide.Quorum(&r.Policy, r.Counts())
	says := fmt.Sprintf("%d of %s must have it", needed, Counted(r.Counts(), "member"))
	if r.Counts() == 0 {
		return s.missing("quorum", false, "")
	}
	var at time.Time
	points, _ := s.c.CurveOf(r)
	for _, p := range points {
		if p.Present >= needed {
			at = p.At
			break
		}
	}
	if at.IsZero() {
		step := s.missing("quorum", !r.FlippedAt.IsZero(), "no count is kept that tells")
		step.Says = joined(step.Says, says)
		return step
	}
	return Step{Name: "quorum", At: at, State: StepTaken, Says: says}
}

func (s *stepper) approval() Step {
	for i := range s.c.Told {
		if t := &s.c.Told[i]; t.decision() == decisionApprove {
			reason := strings.TrimPrefix(strings.TrimPrefix(t.Why, "approved"), ": ")
			return Step{Name: "approved", At: t.At, State: StepTaken, Says: WithReason("by "+t.By, reason)}
		}
	}
	switch {
	case s.r.Approved != "":
		return Step{Name: "approved", State: StepUnknown, Says: WithReason("by "+s.r.Approved, s.r.ApprovedWhy) + "; " + gone}
	case s.r.State == messages.RolloutApproval:
		return Step{Name: "approved", State: StepNow, Says: s.r.Why}
	}
	return s.missing("approved", false, "")
}

func (s *stepper) flipped() Step {
	r := s.r
	if r.FlippedAt.IsZero() {
		return s.missing("flipped", false, "")
	}
	step := Step{Name: "flipped", At: r.FlippedAt, State: StepTaken}
	for i := range s.c.Told { // the last one counts, as in the record: who promotes an image again flips to it again
		if t := &s.c.Told[i]; t.State == messages.RolloutFlipped && t.By == "" && t.Members > 0 && t.Epoch > 0 {
			step.Says = fmt.Sprintf("epoch %d", t.Epoch)
		}
	}
	if r.State == messages.RolloutFlipped {
		step.State, step.Says = StepNow, joined(step.Says, r.Why)
	}
	return step
}

func (s *stepper) soak() Step {
	r := s.r
	t := s.first(messages.RolloutSoaking)
	step := s.missing("soak", false, "")
	if t != nil {
		step = Step{Name: "soak", At: t.At, State: StepTaken}
		if r.Policy.Soak > 0 {
			step.Says = "of " + r.Policy.Soak.String()
		}
	} else if r.State == messages.RolloutDone && !r.FlippedAt.IsZero() {
		step = s.missing("soak", true, gone)
	}
	if r.State == messages.RolloutSoaking {
		step.State, step.Says = StepNow, r.Why
	}
	return step
}

func (s *stepper) ended() Step {
	r := s.r
	if !r.State.Final() {
		return Step{Name: "end", State: StepAhead}
	}
	step := Step{Name: string(r.State), At: r.Updated, State: StepTaken, Says: r.Why}
	for i := range s.c.Told {
		if t := &s.c.Told[i]; t.State == r.State && t.Node == "" {
			step.At = t.At // the last that told it
		}
	}
	if !step.Known() {
		step.State, step.Says = StepUnknown, joined(step.Says, gone)
	}
	return step
}

// joined is one text after another, as far as there are any.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
