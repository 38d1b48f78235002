package overview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// DecisionOf is a decision about a rollout, or about its fleet while it moved or was current.
type DecisionOf struct {
	At   time.Time `json:"at,omitzero"`  // zero where it is not known
	By   string    `json:"by,omitempty"` // "fenceline" of a controller; "" where it is not known
	What string    `json:"what"`         // by its command's name, or flip
	Why  string    `json:"why,omitempty"`
}

// What is decided about rollouts and their fleets.
const (
	decisionApprove  = "approve"
	decisionHold     = "hold"
	decisionRelease  = "release"
	decisionRollback = "rollback"
)

// byItself is who decides where no person does.
const byItself = "fenceline"

// decision is what was decided, by its command's name; "" of what is none. What controllers tell of a fleet counts no members.
func (t *Told) decision() string {
	byPerson := t.By != ""
	switch {
	case t.Node != "":
		return ""
	case byPerson && strings.HasPrefix(t.Why, "approved"):
		return decisionApprove
	case t.State == messages.RolloutHeld && (byPerson || t.Members == 0):
		return decisionHold
	case t.State == messages.RolloutRolledBack:
		return decisionRollback
	case byPerson:
		return map[messages.RolloutState]string{messages.RolloutWaiting: decisionRelease, messages.RolloutAborted: "abort", messages.RolloutFlipped: "promote"}[t.State]
	}
	return ""
}

// who is who decided it.
func (t *Told) who() string {
	if t.By == "" && !strings.HasPrefix(t.Why, "rolled back by ") { // which says that a controller wrote down what a person had decided
		return byItself
	}
	return t.By
}

// DecisionsOf are the decisions about a rollout that are recorded, oldest first, and its fleet's holds of that time; those without a
// moment come last. Fleet is the fleet's record, nil where there is none; told is what was told, by rollout: of the fleet's others,
// too, where holds are to be found that were set before this one.
func DecisionsOf(r *messages.RolloutRecord, fleet *messages.FleetRecord, told map[string][]Told) []DecisionOf {
	var out []DecisionOf
	known := map[string]bool{}
	for i := range told[r.ID] {
		t := &told[r.ID][i]
		switch what := t.decision(); {
		case what == decisionRollback && known[what]: // the state that came of it
		case what != "":
			known[what] = true
			out = append(out, DecisionOf{t.At, t.who(), what, t.Why})
		case t.State == messages.RolloutFlipped && t.Epoch > 0 && t.Members > 0 && !known["flip"]:
			known["flip"] = true
			out = append(out, DecisionOf{t.At, byItself, "flip", joined(fmt.Sprintf("epoch %d", t.Epoch), t.Why)})
		}
	}
	out = append(out, holdsOver(r, fleet, told)...)
	slices.SortStableFunc(out, func(a, b DecisionOf) int { return a.At.Compare(b.At) })
	if r.Approved != "" && !known[decisionApprove] {
		out = append(out, DecisionOf{By: r.Approved, What: decisionApprove, Why: r.ApprovedWhy})
	}
	if r.Aborted != "" && !known["abort"] {
		out = append(out, DecisionOf{By: r.Aborted, What: "abort", Why: r.AbortedWhy})
	}
	return out
}

// holdsOver are the holds that lay over a rollout, and their ends, as far as they are not told of the rollout itself.
func holdsOver(r *messages.RolloutRecord, fleet *messages.FleetRecord, told map[string][]Told) (out []DecisionOf) {
	add := func(t *Told) {
		if t != nil && t.Rollout != r.ID {
			out = append(out, DecisionOf{t.At, t.who(), t.decision(), t.Why})
		}
	}
	over := func(set *Told, end time.Time) bool {
		return set != nil && end.After(r.Opened) && (!r.State.Final() || set.At.Before(r.Updated))
	}
	var set *Told // the hold that stands
	all := holdsOf(fleet, told)
	for i := range all {
		t := &all[i]
		if over(set, t.At) {
			add(set)
			if t.decision() == decisionRelease {
				add(t)
			}
		}
		if set = t; t.decision() == decisionRelease {
			set = nil
		}
	}
	if over(set, time.Now()) {
		add(set)
	}
	return out
}

// holdsOf are a fleet's holds and their ends, oldest first: those that were told, and the last ones where only the record has them.
func holdsOf(fleet *messages.FleetRecord, told map[string][]Told) (all []Told) {
	for of, inOrder := range told {
		for _, t := range inOrder {
			t.Rollout = of
			if d := t.decision(); d == decisionHold || d == decisionRollback || d == decisionRelease {
				all = append(all, t)
			}
		}
	}
	if fleet == nil {
		fleet = &messages.FleetRecord{}
	}
	if h := fleet.Hold; h != nil && !slices.ContainsFunc(all, func(t Told) bool { return t.sets(h) }) {
		all = append(all, Told{At: h.At, By: h.By, State: messages.RolloutHeld, Why: h.Reason})
	}
	if e := fleet.Released; e != nil && !slices.ContainsFunc(all, func(t Told) bool {
		return t.decision() == decisionRelease && t.By == e.By && strings.HasSuffix(t.Why, e.Reason)
	}) {
		all = append(all, Told{At: e.At, By: e.By, State: messages.RolloutWaiting, Why: e.Reason})
	}
	sortTold(all)
	return all
}

// sets tells whether what was told is what set a hold.
func (t *Told) sets(h *messages.Hold) bool {
	if h.Epoch > 0 {
		return t.decision() == decisionRollback && t.Epoch == h.Epoch
	}
	return t.decision() == decisionHold && t.who() == h.By && strings.HasSuffix(t.Why, h.Reason)
}
