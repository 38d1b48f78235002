package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// waitsFor says what an open rollout waits for, or "" while its nodes are at work.
func (s *State) waitsFor(r *messages.RolloutRecord, p *progress) string {
	if p.needed > p.members {
		return fmt.Sprintf("%d nodes must have the image, but the rollout has %s: lower quorum_floor or add nodes, then build again",
			p.needed, Count(p.members, "member", "members"))
	}
	if unheard(r) {
		if two := s.twins(r); len(two) > 0 {
			return "waits for canaries: " + TwinReason + ": " + JoinNames(two)
		}
		if sick := s.sick(r); len(sick) > 0 {
			return "waits for canaries: no member that is heard can try the image: " + JoinNames(sick)
		}
		return "waits for canaries: no member is heard"
	}
	if !p.reachable() || !p.quorum() && p.admitted == p.members {
		return fmt.Sprintf("%d of %s must have the image: missing %s", p.needed, Count(p.members, "member", "members"), s.missing(r, p))
	}
	if p.wave == 0 && p.admitted >= len(r.Canaries) || p.quorum() {
		return s.trialsMissing(r, p)
	}
	return ""
}

// trialsMissing says which canaries have not tried the image, and why if that is known.
func (s *State) trialsMissing(r *messages.RolloutRecord, p *progress) string {
	if p.passed() {
		return ""
	}
	var waits []string
	for _, c := range r.Canaries {
		if _, tried := p.trials[c]; tried {
			continue
		}
		if reason := cmp.Or(p.failed[c], p.stuck[c]); reason != "" {
			c += " (" + reason + ")"
		}
		waits = append(waits, c)
	}
	if len(waits) > 0 && len(r.Canaries) >= mostCanaries(r) {
		return fmt.Sprintf("waits for the trial on %s: %s had no verdict in time, and no more are chosen: mend one of their nodes, or fenceline abort %s",
			JoinNames(waits), Count(len(waits), "canary", "canaries"), r.ID)
	}
	if len(waits) == 0 {
		return fmt.Sprintf("waits for %s: no other member that lives can try the image", Count(p.canaries-len(p.trials), "more canary", "more canaries"))
	}
	return "waits for the trial on " + JoinNames(waits)
}

// TwinReason is why a node does not count whose name another has too.
const TwinReason = "two distributors have this name"

// SharedReason is why a node does not count whose engine is another member's too.
func SharedReason(with string) string {
	return "its engine is that of " + with + " too, by the engine's ID: a clone of a machine needs an engine ID of its own"
}

// sick lists the members that are heard and can't be canaries, each with the reason.
func (s *State) sick(r *messages.RolloutRecord) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		n := s.Nodes[name]
		if reason := cmp.Or(n.uncounted(), n.Status.Engine.Error); reason != "" {
			out = append(out, name+" ("+fitText(reason, reasonMost)+")")
		}
	}
	return out
}

// twins lists the members whose name two nodes have.
func (s *State) twins(r *messages.RolloutRecord) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if s.Nodes[name].Twin {
			out = append(out, name)
		}
	}
	return out
}

// missing names the members without the image, each with the reason.
func (s *State) missing(r *messages.RolloutRecord, p *progress) string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if slices.Contains(p.present, name) {
			continue
		}
		reason := p.failed[name]
		n := s.Nodes[name]
		switch {
		case reason != "":
		case n.Status.Node == "":
			reason = "no heartbeat"
		case n.uncounted() != "":
			reason = n.uncounted()
		case !n.Fresh:
			reason = "its heartbeats stopped"
		case n.Status.Engine.Error != "":
			reason = "engine: " + fitText(n.Status.Engine.Error, reasonMost)
		case n.OtherName(r.Ready.Image, r.Policy.Reference) != "":
			reason = n.OtherName(r.Ready.Image, r.Policy.Reference)
		case s.Record.HeldBack(name, n.Status.Mirror, r.Ready.Image):
			reason = "waits until another node has fetched it through their mirror " + n.Status.Mirror
		case !s.Record.Turns.Admits(name) && n.workOn(r.ID) != nil:
			reason = "waits for its turn"
		case n.workOn(r.ID) != nil:
			reason = string(n.workOn(r.ID).State)
		default:
			reason = "has not begun"
		}
		out = append(out, name+" ("+reason+")")
	}
	return JoinNames(out)
}

// trialFailure says how a trial failed (the canary, the reason and the hook's output), or "".
func (p *progress) trialFailure() string {
	for _, node := range slices.Sorted(maps.Keys(p.trials)) {
		t := p.trials[node]
		if t.Passed {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "the trial failed on %s", node)
		if t.Reason != "" {
			b.WriteString(": " + t.Reason)
		}
		if n := len(t.Hooks); n > 0 && t.Hooks[n-1].Exit != 0 {
			h := t.Hooks[n-1]
			fmt.Fprintf(&b, ": hook %s ended with status %d", h.Hook, h.Exit)
			if h.Output != "" {
				b.WriteString(": " + strings.TrimSpace(h.Output))
			}
		}
		return b.String()
	}
	return ""
}

// unusableFailure says that so many members can't use the image that the others make no quorum, or "".
func (p *progress) unusableFailure() string {
	if len(p.unusable) == 0 || p.members-len(p.unusable) >= p.needed {
		return ""
	}
	names := slices.Sorted(maps.Keys(p.unusable))
	return fmt.Sprintf("%d of %d members can't use the image, and %d must have it: %s: %s", len(names), p.members, p.needed, names[0], p.unusable[names[0]])
}

// JoinNames joins at most a few names for people.
func JoinNames(all []string) string { return joinFirst(all, len(all)) }

// joinFirst joins the first few of some names, and counts the others of all that there are.
func joinFirst(some []string, all int) string {
	const most = 5
	if all <= most {
		return strings.Join(some, ", ")
	}
	return strings.Join(some[:most], ", ") + " and " + Count(all-most, "more", "more")
}

// Count writes a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
