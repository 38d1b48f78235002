package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// progress is how far an open rollout is, counted over its frozen members.
type progress struct {
	order    []string // the members as waves admit them: first those that are admitted, then canaries, then the others by their hash
	admitted int      // how many of order, from its beginning, are admitted
	tries    int      // how many of order, from its beginning, are admitted or canaries
	wave     int      // 0 while canaries try the image, then the wave from 1
	present  []string
	failed   map[string]string               // node to reason, of admitted members that are not present
	stuck    map[string]string               // node to reason, of canaries that are present and had no verdict in time
	unusable map[string]string               // node to reason, of members whose engine can't take in the image
	trials   map[string]messages.TrialResult // of canaries
	canaries int                             // so many have to pass, 0 where there is no trial
	needed   int                             // present members that make a quorum
	members  int
}

// PercentOf is the number of members that p percent are, rounded up.
func PercentOf(p, members int) int { return (p*members + 99) / 100 }

// Quorum is how many of so many members must have an image before a flip to it.
func Quorum(p *messages.Policy, members int) int {
	return max(PercentOf(p.QuorumPercent, members), p.QuorumFloor, 1)
}

// progressOf counts how far a rollout is. The preload is the fleet record's, or nil where that is
// not about this rollout.
func (s *State) progressOf(r *messages.RolloutRecord, preload *messages.Preload) *progress {
	p := &progress{
		failed: map[string]string{}, stuck: map[string]string{}, unusable: map[string]string{}, trials: maps.Clone(r.Trials), members: len(r.Members),
		needed: Quorum(&r.Policy, len(r.Members)),
	}
	if p.trials == nil {
		p.trials = map[string]messages.TrialResult{}
	}
	if !r.Policy.Trial.Disabled {
		p.canaries = min(r.Policy.Canaries, len(r.Members))
	}
	p.order, p.admitted = admissionOrder(r, preload)
	local := LocalFor(&s.Record, r.Policy.Reference, r.Ready.Image)
	for p.tries = p.admitted; p.tries < len(p.order) && slices.Contains(r.Canaries, p.order[p.tries]); {
		p.tries++
	}
	for i, name := range p.order {
		n := s.Nodes[name]
		if w := n.workOn(r.ID); w != nil && w.Trial != nil && slices.Contains(r.Canaries, name) {
			p.trials[name] = *w.Trial
		}
		if n.HasAs(r.Ready.Image, local) {
			p.present = append(p.present, name)
			if _, tried := p.trials[name]; !tried && i < p.admitted && slices.Contains(r.Canaries, name) && outOfTime(n, r) {
				p.stuck[name] = cmp.Or(fitText(n.Failure, reasonMost), "no verdict in time")
			}
			continue
		}
		if w := n.workOn(r.ID); w != nil && w.State == messages.WorkFailed && w.Unusable {
			p.unusable[name] = cmp.Or(w.Reason, "failed without a reason")
		}
		if i < p.admitted {
			if reason := cmp.Or(n.OtherName(r.Ready.Image, r.Policy.Reference), nodeFailure(n, r), s.failedBefore(name, r)); reason != "" {
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

// nodeFailure is why an admitted node that lacks the image counts as failed, or "".
func nodeFailure(n Node, r *messages.RolloutRecord) string {
	if w := n.workOn(r.ID); w != nil && w.State == messages.WorkFailed {
		return cmp.Or(fitText(w.Reason, reasonMost), "failed without a reason")
	}
	if n.Quiet >= r.Policy.NodeDeadline.Std() {
		return cmp.Or(n.uncounted(), fmt.Sprintf("no progress for %s", r.Policy.NodeDeadline))
	}
	return ""
}

// failedBefore is why a node that waits for its next turn failed in the one before, or "".
func (s *State) failedBefore(name string, r *messages.RolloutRecord) string {
	if n := s.Nodes[name]; n.Fresh && !s.Record.Turns.Admits(name) {
		return fitText(n.problem(r.Ready.Image), reasonMost)
	}
	return ""
}

// outOfTime tells whether a canary is past the time in which it should have got and tried the image.
func outOfTime(n Node, r *messages.RolloutRecord) bool {
	most := r.Policy.NodeDeadline.Std()
	if n.Has(r.Ready.Image) {
		most += r.Policy.Trial.Timeout.Std()
	}
	return n.Quiet >= most || n.Failing >= most
}

// finished tells whether an admitted member has done its part, or failed: its place among those in
// flight is another's.
func (p *progress) finished(name string, r *messages.RolloutRecord) bool {
	if p.failed[name] != "" || p.stuck[name] != "" {
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

// quorum tells whether enough members have the image now.
func (p *progress) quorum() bool { return len(p.present) >= p.needed }

// reachable tells whether the quorum can be had if no failed member recovers.
func (p *progress) reachable() bool { return p.members-len(p.failed) >= p.needed }
