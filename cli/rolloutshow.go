package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newRolloutShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ROLLOUT", Short: "Show a rollout: how far it is, who decided what, and why",
		Example: "  fenceline rollouts show production-alsek-k3x9q2wd\n  fenceline rollouts show production-alsek-k3x9q2wd -o json",
		Args:    settings.Args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		err := messages.CheckID("rollout", args[0])
		var e queue.Entry[messages.RolloutRecord]
		if err == nil {
			e, err = store.Rollouts(s.queue).Get(ctx, args[0])
		}
		if errors.Is(err, queue.ErrNotFound) {
			err = fmt.Errorf("%w: %w", people.ErrUnknownRollout, err)
		}
		if err != nil {
			return s.unknownRollout(ctx, args[0], err)
		}
		r, err := s.shownRollout(ctx, &e.Value)
		if err != nil {
			return err
		}
		return s.print(r, func(p *terminal.Page) { writeRollout(p, r) })
	})
}

// shownRollout is a rollout's record, and what was decided about it and its fleet meanwhile.
type shownRollout struct {
	*messages.RolloutRecord
	Decisions []overview.DecisionOf `json:"decisions,omitempty"`
}

func (s *session) shownRollout(ctx context.Context, r *messages.RolloutRecord) (*shownRollout, error) {
	told, err := overview.DecidedInFleet(ctx, s.queue, r.Fleet)
	if err != nil {
		return nil, err
	}
	fleet := new(messages.FleetRecord)
	switch e, err := store.Fleets(s.queue).Get(ctx, r.Fleet); {
	case err == nil:
		fleet = &e.Value
	case !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed): // without it, what was told says most
		return nil, err
	}
	return &shownRollout{r, overview.DecisionsOf(r, fleet, told)}, nil
}

// writeRollout writes what is known of a rollout.
func writeRollout(p *terminal.Page, r *shownRollout) {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339) + " (" + overview.Ago(t) + ")"
	}
	by := func(who, why string) string {
		if who != "" && why != "" {
			return who + ": " + why
		}
		return who
	}
	for _, field := range []struct{ name, value string }{
		{"rollout", r.ID}, {"fleet", r.Fleet}, {"state", string(r.State)}, {"why", r.Why}, {"image", string(r.Ready.Image)},
		{"build", fmt.Sprintf("%s (order %d)", r.Ready.Build, r.Ready.Order)}, {"ref", messages.ShownRef(r.Ready.Ref)}, {"commit", r.Ready.Commit},
		{"present", progress(r.RolloutRecord)}, {"approved by", by(r.Approved, r.ApprovedWhy)}, {"aborted by", by(r.Aborted, r.AbortedWhy)},
		{"opened", at(r.Opened)}, {"flipped", at(r.FlippedAt)}, {"updated", at(r.Updated)},
	} {
		if field.value != "" {
			p.Row(field.name, field.value)
		}
	}
	for _, d := range r.Decisions {
		line := cmp.Or(at(d.At), "at a moment that is not known") + ": " + d.What
		if d.By != "" {
			line += " by " + d.By
		}
		p.Line("%s", by(line, d.Why))
	}
	for _, node := range slices.Sorted(maps.Keys(r.Failed)) {
		p.Line("failed on %s: %s", node, r.Failed[node])
	}
	for _, node := range slices.Sorted(maps.Keys(r.Trials)) {
		verdict := "passed"
		if t := r.Trials[node]; !t.Passed {
			verdict = "failed: " + t.Reason
		}
		p.Line("trial on %s %s", node, verdict)
	}
}
