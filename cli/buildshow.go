package cli

import (
	"cmp"
	"context"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newBuildShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show BUILD", Short: "Show a build: what led to it, how far it is, and why",
		Example: "  fenceline builds show alsek-k3x9q2wd\n  fenceline builds show alsek-k3x9q2wd -o json",
		Args:    settings.Args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		b, err := s.findBuild(ctx, args[0])
		if err != nil {
			return err
		}
		return s.print(b, func(p *terminal.Page) { writeBuild(p, b) })
	})
}

// writeBuild writes all that is known of a build.
func writeBuild(p *terminal.Page, b *overview.Build) {
	for _, f := range b.Facts() {
		if f.At.IsZero() {
			p.Row(f.Name, f.Text)
		} else {
			p.Row(f.Name, f.At.UTC().Format(time.RFC3339)+" ("+overview.Ago(f.At)+")")
		}
	}
	if b.Failure != nil {
		p.Line("%s", cmp.Or(string(b.Failure.Class), "failed"))
		writeFailure(p, b.Failure, b.Build)
	}
}
