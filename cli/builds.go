package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// findBuild finds a build, queued or claimed.
func (s *session) findBuild(ctx context.Context, build string) (*overview.Build, error) {
	b, known, err := overview.FindBuild(ctx, s.queue, build)
	if err == nil && b == nil {
		err = unknown("build", build, known, "'fenceline builds' lists them")
	}
	return b, err
}

// unfound says of what was not found whether there is no such build, or it was never claimed.
func (s *session) unfound(ctx context.Context, build string, err error) error {
	if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	b, missing := s.findBuild(ctx, build)
	switch {
	case missing != nil:
		return missing
	case b.State == overview.StateQueued:
		return fmt.Errorf("build %s has not ended, it is queued: 'fenceline cancel %s' ends it", build, build)
	}
	return err
}

func newBuildsCmd() *cobra.Command {
	var pipeline string
	var limit int
	cmd := &cobra.Command{
		Use: "builds", Short: "List builds, the newest first",
		Long:    `Lists the builds that have not ended, the last of each pipeline, and of the others the newest.`,
		Example: "  fenceline builds\n  fenceline builds --pipeline alsek -o json",
		Args:    settings.Args(0, 0),
	}
	cmd.Flags().StringVar(&pipeline, "pipeline", "", "only builds of this pipeline")
	cmd.Flags().IntVar(&limit, "limit", overview.BuildsShown, "how many of the newest to list")
	operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		if limit < 1 {
			return settings.Usagef("--limit: %d: list 1 or more", limit)
		}
		all, err := overview.RecentBuilds(ctx, s.queue, limit, pipeline)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("pipeline") && len(all) == 0 {
			return s.noBuildOf(ctx, pipeline)
		}
		return s.print(all, func(p *terminal.Page) {
			p.Head("BUILD", "ORDER", "STATE", "ATTEMPT", "REF", "COMMIT", "REASON", "UPDATED", "DETAIL")
			for _, b := range all {
				p.Row(b.Build, b.Order, b.Shown(), b.Attempt, messages.ShownRef(b.Ref), overview.ShortCommit(b.Commit), b.Led(), overview.Ago(overview.Latest(b.Received, b.Updated)), b.Why())
			}
		})
	})
	cmd.AddCommand(newBuildShowCmd())
	return cmd
}

// noBuildOf says that a pipeline has no build. One that has none is not known from one that there is not.
func (s *session) noBuildOf(ctx context.Context, pipeline string) error {
	all, err := overview.RecentBuilds(ctx, s.queue, overview.BuildsShown, "")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, b := range all {
		known[b.Pipeline] = true
	}
	return unknown("build of a pipeline", pipeline, sorted(known), "there are builds of "+cmp.Or(strings.Join(sorted(known), ", "), "none"))
}

func newCancelCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel BUILD", Short: "End a build that is queued or runs",
		Example: "  fenceline cancel alsek-k3x9q2wd",
		Args:    settings.Args(1, 1),
	}
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := s.builds().Cancel(ctx, args[0], whoami()); err != nil {
			return s.unfound(ctx, args[0], err)
		}
		return s.decided(map[string]string{"build": args[0], "state": string(messages.BuildStateCancelled)}, "%s: cancelled", args[0])
	})
}

func newRetryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry BUILD", Short: "Ask for an ended build again",
		Long: `Asks for the same commit again, under a new ID. It keeps the order of the first, so that
its image does not overtake one that came later.`,
		Example: "  fenceline retry alsek-k3x9q2wd",
		Args:    settings.Args(1, 1),
	}
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		a, err := s.builds().Retry(ctx, args[0], whoami())
		if err != nil {
			return s.unfound(ctx, args[0], err)
		}
		if err := s.builds().DropLetterOf(ctx, args[0]); err != nil { // to ask for it again would make another one
			return fmt.Errorf("%s: %w, as %s: its dead letter stays: %w", args[0], people.ErrDecided, a.Build, err)
		}
		return s.decided(map[string]any{"build": a.Build, "order": a.Order, "duplicate": a.Duplicate, "retry_of": args[0]},
			"%s: asked for again as %s", args[0], a.Build)
	})
}
