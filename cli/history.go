package cli

import (
	"cmp"
	"context"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newHistoryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [FLEET]", Short: "Show what the fence config was, and when",
		Example: "  fenceline history\n  fenceline history production -o json",
		Args:    settings.Args(0, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		fleet, err := s.oneFleet(ctx, args...)
		if err != nil {
			return err
		}
		rollouts, err := s.rollouts(ctx, fleet)
		if err != nil {
			return err
		}
		past, err := overview.History(ctx, s.queue, fleet, rollouts)
		if err != nil {
			return err
		}
		return s.print(past, func(p *terminal.Page) {
			p.Head("AT", "IMAGE", "BUILD", "ORDER", "REF", "COMMIT", "ROLLOUT", "BY", "REASON")
			for _, v := range past {
				p.Row(v.At, cmp.Or(overview.ShownValue(v.Value), "(unset)"), v.Build, v.Order, messages.ShownRef(v.Ref), overview.ShortCommit(v.Commit), v.Rollout, v.By, v.Reason)
			}
		})
	})
}
