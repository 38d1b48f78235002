package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// The decisions about a rollout.
const (
	actApprove = "approve"
	actAbort   = "abort"
)

// rolloutDecision is a decision about a rollout.
type rolloutDecision struct {
	action string
	id     string
	record messages.RolloutRecord
	fleet  messages.FleetRecord
}

var _ decision = (*rolloutDecision)(nil)

func rolloutAction(r *http.Request) decision {
	action := r.PathValue("action")
	if action != actApprove && action != actAbort {
		return nil
	}
	return &rolloutDecision{action: action, id: r.PathValue("rollout")}
}

func (d *rolloutDecision) read(ctx context.Context, c *Console) (err error) {
	if err := messages.CheckID("rollout", d.id); err != nil {
		return err
	}
	e, err := store.Rollouts(c.queue).Current(ctx, d.id)
	if err != nil {
		return fmt.Errorf("reading rollout %s: %w", d.id, err)
	}
	d.record = e.Value
	d.fleet, err = readFleet(ctx, c, e.Value.Fleet)
	return err
}

func (d *rolloutDecision) title() string { return capital(d.action) + " rollout " + d.id }

func (d *rolloutDecision) subject() string { return "rollout " + d.id }

func (d *rolloutDecision) told() messages.DecisionMade {
	return messages.DecisionMade{Action: d.action, Fleet: d.record.Fleet, About: d.id}
}

func (d *rolloutDecision) needsReason() bool { return true }

func (d *rolloutDecision) page() string { return "/rollouts/" + d.id }

// exists is true: one that is not can't be read.
func (d *rolloutDecision) exists() bool { return true }

func (d *rolloutDecision) facts() []fact {
	return append(factsOfFleet(&d.fleet), factsOfRollout(&d.record)...)
}

// factsOfRollout are what a rollout is decided by: whether it can be decided still, and what was.
func factsOfRollout(r *messages.RolloutRecord) []fact {
	state := fact{Of: "the rollout", Is: "open"}
	if over(r) {
		state.Is = string(r.State)
	}
	word := func(of, by, why string) fact {
		f := fact{Of: of, Is: "not given"}
		if by != "" {
			f.Is, f.named = "that of "+by, true
			if why != "" {
				f.Is += ": " + why
			}
		}
		return f
	}
	return []fact{state, word("the approval", r.Approved, r.ApprovedWhy), word("the wish to abort", r.Aborted, r.AbortedWhy)}
}

// over tells whether a rollout can't be approved or aborted any more.
func over(r *messages.RolloutRecord) bool {
	return r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking
}

func (d *rolloutDecision) carryOut(ctx context.Context, c *Console, by, _ string) (string, error) {
	facts := factsOfRollout(&d.record)
	ctx = people.OnlyAsRollout(ctx, func(r *messages.RolloutRecord) bool { return same(facts, factsOfRollout(r)) })
	if d.action == actApprove {
		_, err := people.Approve(ctx, c.queue, d.id, by)
		return "Rollout " + d.id + " is approved.", err
	}
	_, err := people.Abort(ctx, c.queue, d.id, by)
	return "Rollout " + d.id + " is aborted.", err
}

func (d *rolloutDecision) foresee(c *Console, p *preview) {
	r := &d.record
	p.Rollout = d.id
	switch {
	case d.action == actApprove && (!r.Policy.Approval || r.Approved != "" || r.Aborted != "" || over(r)):
		p.not("There is nothing to approve: the rollout is %s.", cmp.Or(abortedAs(r), string(r.State)))
	case d.action == actApprove:
		p.Will = []string{"The rollout goes on to its flip, once everything else that its policy asks for holds."}
		p.From, p.To = d.fleet.Current.Image, r.Ready.Image
	case over(r) || r.Aborted != "":
		p.not("It is too late to abort: the rollout is %s.", cmp.Or(abortedAs(r), string(r.State)))
	default:
		p.Will = []string{"The rollout ends before its flip. What is current stays so; a newer image follows as ever.",
			fmt.Sprintf("%d of %d nodes have its image: they remove it again, unless the fleet keeps it.", r.Present, r.Counts())}
	}
	p.count(c.seen, &d.fleet)
}

// abortedAs says that somebody has aborted a rollout, or is "".
func abortedAs(r *messages.RolloutRecord) string {
	if r.Aborted == "" {
		return ""
	}
	return "aborted by " + r.Aborted
}
