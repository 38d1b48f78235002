package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// buildRow is a build as `builds` and `status` show it.
type buildRow struct {
	Build     string            `json:"build"`
	Order     uint64            `json:"order"`
	Pipeline  string            `json:"pipeline"`
	State     string            `json:"state"` // queued, or a state of the record
	Commit    string            `json:"commit,omitempty"`
	Cause     messages.Cause    `json:"cause,omitempty"`
	By        string            `json:"requested_by,omitempty"`
	Attempt   int               `json:"attempt,omitempty"`
	Worker    string            `json:"worker,omitempty"`
	Image     messages.Image    `json:"image,omitempty"`
	Received  time.Time         `json:"received,omitzero"`
	Updated   time.Time         `json:"updated,omitzero"`
	Failure   *messages.Failure `json:"failure,omitempty"`
	LastError string            `json:"last_error,omitempty"`
	Newer     messages.Type     `json:"newer,omitempty"` // of a queued one that only a newer version of fenceline can build

	request uint64 // sequence of its request in its stream; 0 for a queued one
}

const stateQueued = "queued"

// allBuilds lists builds, the newest first.
func (s *session) allBuilds(ctx context.Context) ([]buildRow, error) {
	records, err := store.Builds(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	queued, err := s.builds().Queued(ctx)
	if err != nil {
		return nil, err
	}
	out := []buildRow{}
	for _, q := range queued {
		out = append(out, buildRow{
			Build: q.Build, Order: q.Order, Pipeline: q.Pipeline.Name, State: stateQueued, Commit: q.Commit, Cause: q.Cause, By: q.RequestedBy, Received: q.Received, Newer: q.Newer,
		})
	}
	for _, e := range records {
		r := e.Value
		out = append(out, buildRow{
			Build: r.Build, Order: r.Order, Pipeline: r.Pipeline, State: string(r.State), Commit: r.Commit, Cause: r.Cause, By: r.By, Attempt: r.Attempt,
			Worker: r.Worker, Image: r.Image, Received: r.Received, Updated: r.Updated, Failure: r.Failure, LastError: r.LastError,
			request: r.Request,
		})
	}
	slices.SortFunc(out, func(a, b buildRow) int {
		if a.Order != b.Order {
			return cmp.Compare(b.Order, a.Order)
		}
		return strings.Compare(a.Build, b.Build)
	})
	return out, nil
}

// findBuild finds a build, queued or claimed.
func (s *session) findBuild(ctx context.Context, build string) (*buildRow, error) {
	all, err := s.allBuilds(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(b buildRow) bool { return b.Build == build })
	if i < 0 {
		var known []string
		for _, b := range all {
			known = append(known, b.Build)
		}
		return nil, unknown("build", build, known, "'fenceline builds' lists them")
	}
	return &all[i], nil
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
	case b.State == stateQueued:
		return fmt.Errorf("build %s has not ended, it is queued: 'fenceline cancel %s' ends it", build, build)
	}
	return err
}

// why says in a line why a build is as it is, or what it made.
func (b *buildRow) why() string {
	switch {
	case b.Failure != nil:
		return firstLine(b.Failure)
	case b.Image != "":
		return short(b.Image) + b.unasked()
	case b.LastError != "":
		return "to be tried again: " + b.LastError
	case b.Newer != "":
		return "waits for a builder of a newer version, which reads " + string(b.Newer)
	case b.State == stateQueued:
		return "waits for a builder" + b.unasked()
	case b.State == string(messages.BuildStateRunning):
		return "on " + b.Worker + b.unasked()
	}
	return ""
}

// unasked says that nobody asked for a build, where that is so.
func (b *buildRow) unasked() string {
	if b.By != messages.SeenAtStart {
		return ""
	}
	return " (" + b.By + ")"
}

func firstLine(f *messages.Failure) string {
	line, _, _ := strings.Cut(f.Reason, "\n")
	if f.Place != "" && !strings.Contains(line, f.Place) {
		return f.Place + ": " + line
	}
	return line
}

func newBuildsCmd() *cobra.Command {
	var pipeline string
	cmd := &cobra.Command{
		Use: "builds", Short: "List builds, the newest first",
		Example: "  fenceline builds\n  fenceline builds --pipeline alsek -o json",
		Args:    settings.Args(0, 0),
	}
	cmd.Flags().StringVar(&pipeline, "pipeline", "", "only builds of this pipeline")
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		all, err := s.allBuilds(ctx)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("pipeline") {
			if all, err = ofPipeline(all, pipeline); err != nil {
				return err
			}
		}
		return s.print(all, func(p *terminal.Page) {
			p.Head("BUILD", "ORDER", "STATE", "ATTEMPT", "COMMIT", "UPDATED", "DETAIL")
			for _, b := range all {
				p.Row(b.Build, b.Order, b.State, b.Attempt, shortCommit(b.Commit), ago(latest(b.Received, b.Updated)), b.why())
			}
		})
	})
}

// ofPipeline are the builds of a pipeline. One that has none is not known from one that there is not.
func ofPipeline(all []buildRow, pipeline string) ([]buildRow, error) {
	known := map[string]bool{}
	for _, b := range all {
		known[b.Pipeline] = true
	}
	if !known[pipeline] {
		return nil, unknown("build of a pipeline", pipeline, sorted(known), "there are builds of "+cmp.Or(strings.Join(sorted(known), ", "), "none"))
	}
	return slices.DeleteFunc(all, func(b buildRow) bool { return b.Pipeline != pipeline }), nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func newCancelCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel BUILD", Short: "End a build that is queued or runs",
		Example: "  fenceline cancel alsek-k3x9q2wd",
		Args:    settings.Args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
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
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		a, err := s.builds().Retry(ctx, args[0], whoami())
		if err != nil {
			return s.unfound(ctx, args[0], err)
		}
		if err := s.dropLetterOf(ctx, args[0]); err != nil {
			return err
		}
		return s.decided(map[string]any{"build": a.Build, "order": a.Order, "duplicate": a.Duplicate, "retry_of": args[0]},
			"%s: asked for again as %s", args[0], a.Build)
	})
}
