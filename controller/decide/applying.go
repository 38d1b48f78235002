package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// applying is how far the members of a rollout are with its image after the flip: those that have applied
// it where their own software reads it, and why the others have not.
type applying struct {
	done    int
	members int
	needed  int
	late    []string // those that have not, each with the reason
}

// applyingOf counts how far the members are with a rollout's image.
func (s *State) applyingOf(r *messages.RolloutRecord) applying {
	a := applying{members: len(r.Members)}
	if r.Policy.Apply != nil {
		a.needed = PercentOf(r.Policy.Apply.QuorumPercent, a.members)
	}
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if reason := s.Nodes[name].unapplied(r.Ready.Image); reason == "" {
			a.done++
		} else {
			a.late = append(a.late, name+": "+fitText(reason, reasonMost))
		}
	}
	return a
}

// unapplied is why a node has not applied an image, or "". What a node said last stands while it is
// silent: what it has applied stays so.
func (n Node) unapplied(i messages.Image) string {
	a := n.Status.Applied
	switch {
	case n.uncounted() != "":
		return n.uncounted()
	case n.Status.Node == "" && n.DidApply:
		return ""
	case n.Status.Node == "":
		return "no heartbeat"
	case a == nil:
		return SaysNothingApplied
	case a.Has(i):
		return ""
	case a.Image != i:
		return "has not begun"
	case a.Error != "":
		return a.Error
	}
	return string(a.State)
}

// SaysNothingApplied is why a node doesn't count as having applied an image that does not report it.
const SaysNothingApplied = "does not say what it applies: it has nothing to apply to, or is older"

// enough tells whether so many members as the policy asks for have applied the image.
func (a *applying) enough() bool { return a.done >= a.needed }

// text says how far they are, for people.
func (a *applying) text() string {
	out := fmt.Sprintf("applied on %d of %d", a.done, a.members)
	if !a.enough() {
		out += fmt.Sprintf(", %d must", a.needed)
	}
	if len(a.late) > 0 {
		out += "; " + JoinNames(a.late)
	}
	return out
}

// watched is the step that says how far the rollout is that soaks, or whose image is being applied.
func (s *State) watched(r *messages.RolloutRecord) Step {
	at, why := messages.RolloutFlipped, ""
	if r.Policy.Soak > 0 || r.Policy.Apply == nil {
		at, why = messages.RolloutSoaking, fmt.Sprintf("soaks for %s", r.Policy.Soak)
	}
	if r.Policy.Apply != nil {
		a := s.applyingOf(r)
		if why != "" {
			why += "; "
		}
		why += a.text()
	}
	if broken := s.Record.Applied.Error; broken != "" {
		why = broken
	}
	if r.State == at && !s.Report && r.Why != "" { // as recordProgress: counts wait for the next report
		return Step{}
	}
	if out := s.setState(r, at, why); out.Rollout != nil {
		return out
	}
	return s.plotOn(r)
}

// applyFailure says that too few members have applied the image that is watched for longer than the
// policy lets, or "".
func (s *State) applyFailure(r *messages.RolloutRecord) string {
	if r.Policy.Apply == nil || s.Unapplied < r.Policy.Apply.Deadline.Std() {
		return ""
	}
	a := s.applyingOf(r)
	if a.enough() {
		return ""
	}
	return fmt.Sprintf("not applied within %s: %s", r.Policy.Apply.Deadline, a.text())
}

// watchOver tells whether the rollout that is watched has soaked for long enough, and its image been
// applied by enough members.
func (s *State) watchOver(r *messages.RolloutRecord) bool {
	if r.Policy.Apply != nil {
		if a := s.applyingOf(r); !a.enough() {
			return false
		}
	}
	if r.Policy.Soak == 0 && r.Policy.Apply != nil {
		return r.State == messages.RolloutFlipped && s.applied()
	}
	return r.State == messages.RolloutSoaking && s.Soaked >= s.soakTime(r)
}

// applyGap says why a rollout's image can't be applied by as many members as its policy asks for, or "":
// too few say at all what they apply. Flipped, it would only be turned back.
func (s *State) applyGap(r *messages.RolloutRecord) string {
	if r.Policy.Apply == nil {
		return ""
	}
	var silent []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if s.Nodes[name].Status.Applied == nil {
			silent = append(silent, name)
		}
	}
	needed := PercentOf(r.Policy.Apply.QuorumPercent, len(r.Members))
	if able := len(r.Members) - len(silent); able < needed {
		return fmt.Sprintf("%d of %s must apply it, and %d say what they apply: give the others something to apply to, upgrade them, or lower apply.quorum: %s",
			needed, Count(len(r.Members), "member", "members"), able, JoinNames(silent))
	}
	return ""
}

// deed is what a controller has seen of how members apply the image that is watched.
type deed struct {
	rollout string
	epoch   uint64
	did     map[string]bool // those that had applied it when they were heard last
	since   time.Time       // when enough had it last, or it was seen first
}

// measureApplied sets for how long too few members have applied the image that is watched. While nodes
// wait for their turn to fetch it that could make the quorum, no time passes.
func (c *Clocks) measureApplied(s *State, now time.Time) {
	r := s.rollout(s.Record.Soaking)
	if r == nil || r.Policy.Apply == nil || r.ID != s.Record.Current.Rollout {
		c.deed = deed{}
		return
	}
	if c.deed.rollout != r.ID || c.deed.epoch != s.Record.Epoch {
		c.deed = deed{r.ID, s.Record.Epoch, map[string]bool{}, now}
	}
	waits := 0
	for _, name := range r.Members {
		n := s.Nodes[name]
		if n.Status.Node != "" {
			c.deed.did[name] = n.Status.Applied.Has(r.Ready.Image)
		}
		n.DidApply = c.deed.did[name]
		s.Nodes[name] = n
		if n.lacks(r.Ready.Image) && n.problem(r.Ready.Image) == "" && !(s.Record.Turns.Admits(name) && s.Record.Spread.Admits(name)) {
			waits++
		}
	}
	if a := s.applyingOf(r); a.done+waits >= a.needed {
		c.deed.since = now
	}
	s.Unapplied = now.Sub(c.deed.since)
}
