package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// progress is how far an open rollout is, counted over its frozen members.
type progress struct {
	order    []string // the members as waves admit them: those that are, canaries, then by their hash
	admitted int      // so many of order
	tries    int      // so many of order are admitted or canaries
	wave     int      // 0 while canaries try the image, then the wave from 1
	present  []string
	failed   map[string]string               // node to reason, of admitted members that are not present
	trials   map[string]messages.TrialResult // of canaries
	canaries int                             // so many have to pass, 0 where there is no trial
	needed   int                             // present members that make a quorum
	members  int
}

// percent is the number of members that p percent are, rounded up.
func percent(p, members int) int { return (p*members + 99) / 100 }

// chooseCanaries names the members that try an image first: those with the lowest hashes.
func chooseCanaries(rollout string, members []string, n int) []string {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b string) int {
		return cmp.Compare(messages.WaveHash(rollout, a), messages.WaveHash(rollout, b))
	})
	return sorted[:min(n, len(sorted))]
}

// unheard tells whether a rollout that wants canaries has none: no member lives.
func unheard(r *messages.RolloutRecord) bool { return r.Policy.Canaries > 0 && len(r.Canaries) == 0 }

// moreCanaries names the members that should try the image besides the canaries: until there
// are as many as asked for, in place of canaries that were retired, and of those that fell
// silent before they tried it. Only members that live are named, so a controller that has just
// begun names them as it hears them. A canary that lives and fails has no substitute: what it
// says counts.
func (s *state) moreCanaries(r *messages.RolloutRecord) []string {
	able := 0
	for _, c := range r.Canaries {
		n := s.nodes[c]
		if _, tried := r.Trials[c]; tried || n.fresh || n.quiet < r.Policy.NodeDeadline.Std() {
			able++
		}
	}
	if able >= r.Policy.Canaries {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(r.Members), func(n string) bool {
		return slices.Contains(r.Canaries, n) || !s.nodes[n].fresh
	})
	return chooseCanaries(r.ID, others, r.Policy.Canaries-able)
}

// admission is the order in which members are admitted, and how many of them are now.
func admission(r *messages.RolloutRecord, preload *messages.Preload) (order []string, admitted int) {
	type place struct {
		node string
		rank int
		hash uint64
	}
	places := make([]place, 0, len(r.Members))
	for _, n := range r.Members {
		p := place{node: n, rank: 2, hash: messages.WaveHash(r.ID, n)}
		if preload != nil && admits(preload, n) {
			p.rank = 0
			admitted++
		} else if slices.Contains(r.Canaries, n) {
			p.rank = 1
		}
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.hash, b.hash)) })
	for _, p := range places {
		order = append(order, p.node)
	}
	return order, admitted
}

// admits tells whether the preload lets a node fetch the image.
func admits(p *messages.Preload, node string) bool {
	return slices.Contains(p.Canaries, node) || p.Threshold > 0 && messages.WaveHash(p.Rollout, node) <= p.Threshold
}

// progressOf counts. The preload is nil while the rollout is not the moving one.
func (s *state) progressOf(r *messages.RolloutRecord, preload *messages.Preload) *progress {
	p := &progress{
		failed: map[string]string{}, trials: maps.Clone(r.Trials), members: len(r.Members),
		needed: max(percent(r.Policy.QuorumPercent, len(r.Members)), r.Policy.QuorumFloor, 1),
	}
	if p.trials == nil {
		p.trials = map[string]messages.TrialResult{}
	}
	if !r.Policy.Trial.Disabled {
		p.canaries = min(r.Policy.Canaries, len(r.Members))
	}
	p.order, p.admitted = admission(r, preload)
	for p.tries = p.admitted; p.tries < len(p.order) && slices.Contains(r.Canaries, p.order[p.tries]); {
		p.tries++
	}
	for i, name := range p.order {
		n := s.nodes[name]
		if w := n.work(r.ID); w != nil && w.Trial != nil && slices.Contains(r.Canaries, name) {
			p.trials[name] = *w.Trial
		}
		if n.has(r.Ready.Image) {
			p.present = append(p.present, name)
			continue
		}
		if i < p.admitted {
			if reason := failure(n, r); reason != "" {
				p.failed[name] = reason
			}
		}
	}
	for name, t := range p.trials {
		p.trials[name] = briefTrial(t, len(p.trials))
	}
	p.wave = s.wave(r, p)
	return p
}

// failure is why an admitted node that lacks the image counts as failed, or "".
func failure(n node, r *messages.RolloutRecord) string {
	if w := n.work(r.ID); w != nil && w.State == messages.WorkFailed {
		return cmp.Or(cut(w.Reason, reasonMost), "failed without a reason")
	}
	if n.quiet >= r.Policy.NodeDeadline.Std() {
		if n.twin {
			return twinReason
		}
		return fmt.Sprintf("no progress for %s", r.Policy.NodeDeadline)
	}
	return ""
}

// finished tells whether an admitted member takes up no place any more.
func (p *progress) finished(name string, r *messages.RolloutRecord) bool {
	if p.failed[name] != "" {
		return true
	}
	if !slices.Contains(p.present, name) {
		return false
	}
	_, tried := p.trials[name]
	return tried || p.canaries == 0 || !slices.Contains(r.Canaries, name)
}

// passed tells whether every canary passed its trial.
func (p *progress) passed() bool {
	n := 0
	for _, t := range p.trials {
		if t.Passed {
			n++
		}
	}
	return n >= p.canaries
}

// wave is the wave that members are admitted for now: the first whose members have not all
// been admitted and finished. Past the canaries it needs their trials.
func (s *state) wave(r *messages.RolloutRecord, p *progress) int {
	if p.tries > p.admitted || !p.passed() || unheard(r) {
		return 0
	}
	done := 0
	for _, name := range p.order[:p.admitted] {
		if p.finished(name, r) {
			done++
		} else if slices.Contains(r.Canaries, name) {
			return 0
		}
	}
	for i, w := range r.Policy.Waves {
		if done < percent(w, p.members) {
			return i + 1
		}
	}
	return len(r.Policy.Waves)
}

// target is how many members are admitted when the wave is.
func (p *progress) target(r *messages.RolloutRecord) int {
	if p.wave == 0 {
		return p.tries
	}
	return max(percent(r.Policy.Waves[p.wave-1], p.members), p.tries)
}

// admit returns how many members are to be admitted: up to the wave's target, with no more
// of them unfinished than the policy allows, and no new ones while the quorum is out of reach.
func (p *progress) admit(r *messages.RolloutRecord) int {
	if p.admitted > 0 && !p.reachable() {
		return p.admitted
	}
	busy := 0
	for _, name := range p.order[:p.admitted] {
		if !p.finished(name, r) {
			busy++
		}
	}
	k := p.admitted
	for target := p.target(r); k < target; k++ {
		if !p.finished(p.order[k], r) {
			if r.Policy.MaxInFlight > 0 && busy >= r.Policy.MaxInFlight {
				break
			}
			busy++
		}
	}
	return k
}

// preload is what the fleet record says when the first k of order are admitted. Threshold is
// what it was, and only rises.
func preload(r *messages.RolloutRecord, order []string, k int, threshold uint64) *messages.Preload {
	p := &messages.Preload{
		FleetImage: fleetImage(r), Hooks: r.Ready.Hooks, Trial: r.Policy.Trial, Threshold: threshold,
	}
	for _, name := range order[:k] {
		if slices.Contains(r.Canaries, name) {
			p.Canaries = append(p.Canaries, name)
		} else {
			p.Threshold = max(p.Threshold, messages.WaveHash(r.ID, name))
		}
	}
	slices.Sort(p.Canaries)
	return p
}

// quorum tells whether enough members have the image now.
func (p *progress) quorum() bool { return len(p.present) >= p.needed }

// reachable tells whether the quorum can be had if no failed member recovers.
func (p *progress) reachable() bool { return p.members-len(p.failed) >= p.needed }

// why says what an open rollout waits for.
func (s *state) why(r *messages.RolloutRecord, p *progress) string {
	if p.needed > p.members {
		return fmt.Sprintf("%d nodes must have the image, but the rollout has %s: lower quorum_floor or add nodes, then build again",
			p.needed, count(p.members, "member", "members"))
	}
	if unheard(r) {
		if two := s.twins(r); len(two) > 0 {
			return "waits for canaries: " + twinReason + ": " + names(two)
		}
		return "waits for canaries: no member is heard"
	}
	if !p.reachable() || !p.quorum() && p.admitted == p.members {
		return fmt.Sprintf("%d of %s must have the image, %d have: missing %s",
			p.needed, count(p.members, "member", "members"), len(p.present), s.missing(r, p))
	}
	if p.wave == 0 && p.admitted >= len(r.Canaries) || p.quorum() {
		return s.trialsMissing(r, p)
	}
	return ""
}

// trialsMissing says which canaries have not tried the image, and why if that is known.
func (s *state) trialsMissing(r *messages.RolloutRecord, p *progress) string {
	if p.passed() {
		return ""
	}
	var waits []string
	for _, c := range r.Canaries {
		if _, tried := p.trials[c]; tried {
			continue
		}
		if reason := p.failed[c]; reason != "" {
			c += " (" + reason + ")"
		}
		waits = append(waits, c)
	}
	if len(waits) == 0 {
		return fmt.Sprintf("waits for %s: no other member that lives can try the image", count(p.canaries-len(p.trials), "more canary", "more canaries"))
	}
	return "waits for the trial on " + names(waits)
}

// twinReason is why a node does not count whose name another has too.
const twinReason = "two distributors have this name"

// twins lists the members whose name two nodes have.
func (s *state) twins(r *messages.RolloutRecord) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if s.nodes[name].twin {
			out = append(out, name)
		}
	}
	return out
}

// missing names the members without the image, each with the reason.
func (s *state) missing(r *messages.RolloutRecord, p *progress) string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(r.Members)) {
		if slices.Contains(p.present, name) {
			continue
		}
		reason := p.failed[name]
		n := s.nodes[name]
		switch {
		case reason != "":
		case n.status.Node == "":
			reason = "no heartbeat"
		case n.twin:
			reason = twinReason
		case !n.fresh:
			reason = "its heartbeats stopped"
		case n.work(r.ID) != nil:
			reason = string(n.work(r.ID).State)
		default:
			reason = "has not begun"
		}
		out = append(out, name+" ("+reason+")")
	}
	return names(out)
}

// trialFailure says how a trial failed: the canary, the reason and the hook's output.
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
