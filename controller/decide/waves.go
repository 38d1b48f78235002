package decide

import (
	"cmp"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// chooseCanaries names the members that try an image first: those with the lowest hashes.
func chooseCanaries(rollout string, members []string, n int) []string {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b string) int {
		return cmp.Compare(messages.WaveHash(rollout, a), messages.WaveHash(rollout, b))
	})
	return sorted[:min(n, len(sorted))]
}

// unheard tells whether a rollout that wants canaries has none, as no member is heard.
func unheard(r *messages.RolloutRecord) bool { return r.Policy.Canaries > 0 && len(r.Canaries) == 0 }

// canaryReplacements is how often, for each canary that a policy asks for, another is named in place
// of one that had no verdict in time.
const canaryReplacements = 3

// mostCanaries is how many canaries a rollout names at most.
func mostCanaries(r *messages.RolloutRecord) int { return r.Policy.Canaries * (1 + canaryReplacements) }

// moreCanaries names members that should try the image too, until as many canaries as the policy
// asks for can do so: canaries that were retired, or had no verdict in time, are replaced, so often
// and no more. Only healthy members are named, so a controller that has just begun names them as it
// hears them.
func (s *State) moreCanaries(r *messages.RolloutRecord) []string {
	able := 0
	for _, c := range r.Canaries {
		if s.able(c, r) {
			able++
		}
	}
	missing := min(r.Policy.Canaries-able, mostCanaries(r)-len(r.Canaries))
	if missing <= 0 {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(r.Members), func(n string) bool {
		return slices.Contains(r.Canaries, n) || !s.Nodes[n].healthy() || s.Nodes[n].problem(r.Ready.Image) != ""
	})
	return chooseCanaries(r.ID, others, missing)
}

// able tells whether a canary has tried the image, or may still do so in time.
func (s *State) able(canary string, r *messages.RolloutRecord) bool {
	n := s.Nodes[canary]
	if _, tried := r.Trials[canary]; tried || r.Policy.Trial.Disabled && n.Has(r.Ready.Image) {
		return true
	}
	w := n.workOn(r.ID)
	return w != nil && w.Trial != nil || !outOfTime(n, r)
}

// admissionOrder is the order in which members are admitted, and how many of them, from its
// beginning, the preload admits already.
func admissionOrder(r *messages.RolloutRecord, preload *messages.Preload) (order []string, admitted int) {
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

// Wave is a wave of a rollout, as its policy has it.
type Wave struct {
	Number  int      // 0 for the canaries, who come first
	Percent int      // of the members that are admitted with it in all; 0 of the canaries
	Members []string // that it admits beside those of the waves before it, in the order in which they are admitted
}

// WavesOf parts a rollout's members into its waves, for people. Preload is the fleet record's; nil where that is not about
// this rollout.
func WavesOf(r *messages.RolloutRecord, preload *messages.Preload) []Wave {
	order, _ := admissionOrder(r, preload)
	first := Wave{}
	var rest []string
	for _, name := range order {
		if slices.Contains(r.Canaries, name) {
			first.Members = append(first.Members, name)
		} else {
			rest = append(rest, name)
		}
	}
	out := []Wave{first}
	done := len(first.Members)
	for i, percent := range r.Policy.Waves {
		k := min(max(PercentOf(percent, len(order))-done, 0), len(rest))
		out = append(out, Wave{Number: i + 1, Percent: percent, Members: rest[:k]})
		rest, done = rest[k:], done+k
	}
	return out
}

// admits tells whether the preload lets a node fetch the image.
func admits(p *messages.Preload, node string) bool {
	return slices.Contains(p.Canaries, node) || p.Threshold > 0 && messages.WaveHash(p.Rollout, node) <= p.Threshold
}

// wave is the wave that members are admitted for now: the first of which some have not finished. It
// is 0, that of the canaries, until they have passed their trials.
func (s *State) wave(r *messages.RolloutRecord, p *progress) int {
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
		if done < PercentOf(w, p.members) {
			return i + 1
		}
	}
	return len(r.Policy.Waves)
}

// target is how many members are admitted once the wave is admitted in full.
func (p *progress) target(r *messages.RolloutRecord) int {
	if p.wave == 0 {
		return p.tries
	}
	return max(PercentOf(r.Policy.Waves[p.wave-1], p.members), p.tries)
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

// preloadOf is the preload that admits the first k of order. Threshold is that of the preload
// before, and only rises.
func preloadOf(r *messages.RolloutRecord, order []string, k int, threshold uint64) *messages.Preload {
	p := &messages.Preload{
		FleetImage: ImageOf(r), Hooks: r.Ready.Hooks, Trial: r.Policy.Trial, Threshold: threshold, Traceparent: r.Traceparent,
	}
	if r.Traceparent != "" {
		p.Traced = messages.TraceThreshold(len(r.Members))
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
