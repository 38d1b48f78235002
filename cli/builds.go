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
	State     string            `json:"state"`         // queued, or a state of the record
	Ref       string            `json:"ref,omitempty"` // the full name of the branch or tag
	Commit    string            `json:"commit,omitempty"`
	Cause     messages.Cause    `json:"cause,omitempty"`
	Reason    *messages.Reason  `json:"reason,omitempty"` // what led to it; nil where its request can't be read
	By        string            `json:"requested_by,omitempty"`
	Matched   string            `json:"matched,omitempty"` // what in the pipeline takes the push, and what of it is not known
	Attempt   int               `json:"attempt,omitempty"`
	Worker    string            `json:"worker,omitempty"`
	Image     messages.Image    `json:"image,omitempty"`
	Received  time.Time         `json:"received,omitzero"`
	Updated   time.Time         `json:"updated,omitzero"`
	Failure   *messages.Failure `json:"failure,omitempty"`
	LastError string            `json:"last_error,omitempty"`
	OnlyIf    string            `json:"only_if,omitempty"`   // what must be so for it to be done
	Unchanged string            `json:"unchanged,omitempty"` // why nothing was built
	Newer     messages.Type     `json:"newer,omitempty"`     // of a queued one that only a newer version of fenceline can build

	Head       string `json:"head,omitempty"`        // the commit that superseded it, or was its branch's head while it was built
	FollowedBy string `json:"followed_by,omitempty"` // and the build of that
	Ahead      int    `json:"ahead,omitempty"`       // of a queued one: builds of earlier pushes of its branch that it waits for
	Waiting    bool   `json:"waiting,omitempty"`     // of a running one: nobody has it, between two attempts
	Silence    string `json:"silence,omitempty"`     // of a running one: its worker is not heard any more
	Broken     string `json:"broken,omitempty"`      // its request or record can't be read
	Trace      string `json:"trace,omitempty"`       // the ID of the trace that it is on

	inTurn  bool   // it waits for builds of earlier pushes
	claim   string // of its record
	request uint64 // sequence of its request in its stream; 0 for a queued one
}

// The states that no record has.
const (
	stateQueued = "queued"
	stateBroken = "unreadable"
	stateSilent = "silent"  // shown in place of running
	stateWaits  = "waiting" // shown in place of running
)

// shown is the state as people are told it.
func (b *buildRow) shown() string {
	switch {
	case b.Silence != "":
		return stateSilent
	case b.Waiting:
		return stateWaits
	}
	return b.State
}

// findBuild finds a build, queued or claimed.
func (s *session) findBuild(ctx context.Context, build string) (*buildRow, error) {
	e, err := store.Builds(s.queue).Get(ctx, build)
	if err == nil {
		b := recordRow(&e.Value)
		return &b, nil
	}
	all, err := s.recentBuilds(ctx, buildsShown, "")
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

// reason is what led to the build, in short: without what names the cause.
func (b *buildRow) reason() string {
	if b.Reason == nil {
		return ""
	}
	return messages.Reason{Kind: b.Reason.Kind, Detail: b.Reason.Detail}.String()
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
	case b.Broken != "":
		return b.Broken
	case b.Silence != "":
		return b.Silence
	case b.Unchanged != "":
		return b.Unchanged
	case b.superseded() && b.FollowedBy != "":
		return "by " + shortCommit(b.Head) + ", which is build " + b.FollowedBy
	case b.superseded() && b.Head != "":
		return "by " + shortCommit(b.Head) + ", which is asked for if it was not"
	case b.Image != "":
		return short(b.Image) + b.unasked()
	case b.LastError != "":
		return "to be tried again: " + b.LastError
	case b.Newer != "":
		return "waits for a builder of a newer version, which reads " + string(b.Newer)
	case b.Ahead > 0:
		return fmt.Sprintf("waits for the builds of earlier pushes of its branch, of which %d have not ended%s", b.Ahead, b.unasked())
	case b.State == stateQueued:
		return "waits for a builder" + b.unasked()
	case b.State == string(messages.BuildStateRunning):
		return "on " + b.Worker + b.unasked()
	}
	return ""
}

func (b *buildRow) superseded() bool { return b.State == string(messages.BuildStateSuperseded) }

// unasked says that nobody asked for a build, where that is so, what had changed for it to be done, and why it passed its pipeline's filters, where it has some.
func (b *buildRow) unasked() string {
	var said []string
	if b.By == messages.SeenAtStart || b.By == messages.SeenByPoll {
		said = append(said, b.By)
	}
	switch {
	case b.Reason != nil && b.Reason.Changed != "":
		said = append(said, b.Reason.Changed)
	case b.OnlyIf != "" && b.Image == "":
		said = append(said, "is built only if "+b.OnlyIf)
	}
	if _, filters, ok := strings.Cut(b.Matched, "; "); ok {
		said = append(said, filters)
	}
	if said == nil {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
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
	var limit int
	cmd := &cobra.Command{
		Use: "builds", Short: "List builds, the newest first",
		Long:    `Lists the builds that have not ended, the last of each pipeline, and of the others the newest.`,
		Example: "  fenceline builds\n  fenceline builds --pipeline alsek -o json",
		Args:    settings.Args(0, 0),
	}
	cmd.Flags().StringVar(&pipeline, "pipeline", "", "only builds of this pipeline")
	cmd.Flags().IntVar(&limit, "limit", buildsShown, "how many of the newest to list")
	operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		if limit < 1 {
			return settings.Usagef("--limit: %d: list 1 or more", limit)
		}
		all, err := s.recentBuilds(ctx, limit, pipeline)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("pipeline") && len(all) == 0 {
			return s.noBuildOf(ctx, pipeline)
		}
		return s.print(all, func(p *terminal.Page) {
			p.Head("BUILD", "ORDER", "STATE", "ATTEMPT", "REF", "COMMIT", "REASON", "UPDATED", "DETAIL")
			for _, b := range all {
				p.Row(b.Build, b.Order, b.shown(), b.Attempt, messages.ShownRef(b.Ref), shortCommit(b.Commit), b.reason(), ago(latest(b.Received, b.Updated)), b.why())
			}
		})
	})
	cmd.AddCommand(newBuildShowCmd())
	return cmd
}

// noBuildOf says that a pipeline has no build. One that has none is not known from one that there is not.
func (s *session) noBuildOf(ctx context.Context, pipeline string) error {
	all, err := s.recentBuilds(ctx, buildsShown, "")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, b := range all {
		known[b.Pipeline] = true
	}
	return unknown("build of a pipeline", pipeline, sorted(known), "there are builds of "+cmp.Or(strings.Join(sorted(known), ", "), "none"))
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
		if err := s.builds().DropLetterOf(ctx, args[0]); err != nil {
			return err
		}
		return s.decided(map[string]any{"build": a.Build, "order": a.Order, "duplicate": a.Duplicate, "retry_of": args[0]},
			"%s: asked for again as %s", args[0], a.Build)
	})
}
