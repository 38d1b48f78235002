package cli

import (
	"context"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// rollouts lists the rollouts of a fleet, or of all for "", the newest first.
func (s *session) rollouts(ctx context.Context, fleet string) ([]messages.RolloutRecord, error) {
	if s.allRollouts == nil {
		entries, broken, err := store.Rollouts(s.queue).ListAll(ctx)
		if err != nil {
			return nil, err
		}
		s.allRollouts, s.broken = &entries, map[string]string{}
		for _, b := range broken {
			s.broken[b.Key] = b.Err.Error()
		}
	}
	out := []messages.RolloutRecord{}
	for _, e := range *s.allRollouts {
		if fleet == "" || e.Value.Fleet == fleet {
			out = append(out, e.Value)
		}
	}
	overview.SortRollouts(out)
	return out, nil
}

func newRolloutsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollouts [FLEET]", Short: "List rollouts, the newest first, and why they wait",
		Example: "  fenceline rollouts\n  fenceline rollouts production -o json",
	}
	takesFleet(cmd, 0)
	cmd.AddCommand(newRolloutShowCmd())
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		named, _, err := fleetWord(cmd.Flags(), args, 0)
		if err != nil {
			return err
		}
		fleet, err := s.someFleet(ctx, named)
		if err != nil {
			return err
		}
		all, err := s.rollouts(ctx, fleet)
		if err != nil {
			return err
		}
		return s.print(all, func(p *terminal.Page) {
			p.Head("ROLLOUT", "ORDER", "STATE", "PRESENT", "UPDATED", "REF", "IMAGE", "WHY")
			for _, r := range all {
				p.Row(r.ID, r.Ready.Order, r.State, progress(&r), overview.Ago(r.Updated), messages.ShownRef(r.Ready.Ref), overview.Short(r.Ready.Image), r.Why)
			}
		})
	})
}

func progress(r *messages.RolloutRecord) string {
	if r.Counts() == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", r.Present, r.Counts())
}
