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
		one := []overview.Build{*b}
		if err := overview.Hear(ctx, s.queue, one); err != nil {
			return err
		}
		return s.print(one[0], func(p *terminal.Page) { writeBuild(p, &one[0]) })
	})
}

// write writes all that is known of a build.
func writeBuild(p *terminal.Page, b *overview.Build) {
	reason := ""
	if b.Reason != nil {
		reason = b.Reason.String()
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339) + " (" + overview.Ago(t) + ")"
	}
	for _, field := range []struct {
		name  string
		value any
	}{
		{"build", b.Build}, {"pipeline", b.Pipeline}, {"order", b.Order}, {"state", b.Shown()},
		{"reason", reason}, {"requested by", b.By}, {"ref", b.Ref}, {"commit", b.Commit}, {"matched", b.Matched},
		{"received", at(b.Received)}, {"updated", at(b.Updated)}, {"attempt", b.Attempt}, {"worker", b.Worker},
		{"image", string(b.Image)}, {"superseded by", b.Head}, {"which is build", b.FollowedBy}, {"last error", b.LastError},
		{"unreadable", b.Broken}, {"silent", b.Silence}, {"needs a builder for", string(b.Newer)}, {"trace", b.Trace},
	} {
		if field.value != "" && field.value != 0 && field.value != uint64(0) {
			p.Row(field.name, field.value)
		}
	}
	if b.Failure != nil {
		p.Line("%s", cmp.Or(string(b.Failure.Class), "failed"))
		writeFailure(p, b.Failure, b.Build)
	}
}
