package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/spf13/cobra"
)

// buildRow is a build as `builds` and `status` show it.
type buildRow struct {
	Build     string            `json:"build"`
	Order     uint64            `json:"order"`
	Pipeline  string            `json:"pipeline"`
	State     string            `json:"state"` // queued, or a state of the record
	Commit    string            `json:"commit,omitempty"`
	Attempt   int               `json:"attempt,omitempty"`
	Worker    string            `json:"worker,omitempty"`
	Image     messages.Image    `json:"image,omitempty"`
	Received  time.Time         `json:"received,omitzero"`
	Updated   time.Time         `json:"updated,omitzero"`
	Failure   *messages.Failure `json:"failure,omitempty"`
	LastError string            `json:"last_error,omitempty"`
}

const stateQueued = "queued"

// allBuilds lists builds, the newest first.
func (s *session) allBuilds(ctx context.Context) ([]buildRow, error) {
	records, err := queue.Builds(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	queued, err := s.queue.Queued(ctx)
	if err != nil {
		return nil, err
	}
	out := []buildRow{}
	for _, q := range queued {
		out = append(out, buildRow{
			Build: q.Build, Order: q.Order, Pipeline: q.Pipeline.Name, State: stateQueued, Commit: q.Commit, Received: q.Received,
		})
	}
	for _, e := range records {
		r := e.Value
		out = append(out, buildRow{
			Build: r.Build, Order: r.Order, Pipeline: r.Pipeline, State: string(r.State), Commit: r.Commit, Attempt: r.Attempt,
			Worker: r.Worker, Image: r.Image, Received: r.Received, Updated: r.Updated, Failure: r.Failure, LastError: r.LastError,
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

// why says in a line why a build is as it is, or what it made.
func (b *buildRow) why() string {
	switch {
	case b.Failure != nil:
		return firstLine(b.Failure)
	case b.Image != "":
		return short(b.Image)
	case b.LastError != "":
		return "to be tried again: " + b.LastError
	case b.State == stateQueued:
		return "waits for a builder"
	case b.State == string(messages.BuildRunning):
		return "on " + b.Worker
	}
	return ""
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
		Args:    args(0, 0),
	}
	cmd.Flags().StringVar(&pipeline, "pipeline", "", "only builds of this pipeline")
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		all, err := s.allBuilds(ctx)
		if err != nil {
			return err
		}
		if pipeline != "" {
			all = slices.DeleteFunc(all, func(b buildRow) bool { return b.Pipeline != pipeline })
		}
		return s.print(all, func(w io.Writer) {
			head(w, "BUILD", "ORDER", "STATE", "ATTEMPT", "COMMIT", "UPDATED")
			for _, b := range all {
				row(w, b.Build, b.Order, b.State, b.Attempt, shortCommit(b.Commit), ago(latest(b.Received, b.Updated)), b.why())
			}
		})
	})
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
		Args:    args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := s.queue.CancelBuild(ctx, args[0], whoami()); err != nil {
			return err
		}
		return s.decided(map[string]string{"build": args[0], "state": string(messages.BuildStopped)}, "%s: cancelled", args[0])
	})
}

func newRetryCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry BUILD", Short: "Ask for an ended build again",
		Long: `Asks for the same commit again, under a new ID. It keeps the order of the first, so that
its image does not overtake one that came later.`,
		Example: "  fenceline retry alsek-k3x9q2wd",
		Args:    args(1, 1),
	}
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		a, err := s.queue.RetryBuild(ctx, args[0], whoami())
		if err != nil {
			return err
		}
		return s.decided(map[string]any{"build": a.Build, "order": a.Order, "duplicate": a.Duplicate, "retry_of": args[0]},
			"%s: asked for again as %s", args[0], a.Build)
	})
}

func newDeadLettersCmd() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List messages that nobody could handle", Example: "  fenceline dead-letters list", Args: args(0, 0),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Show a dead letter whole", Example: "  fenceline dead-letters show fenceline-requests-42", Args: args(1, 1),
	}
	requeue := &cobra.Command{
		Use: "requeue NAME", Short: "Send a dead letter's message again", Example: "  fenceline dead-letters requeue fenceline-requests-42", Args: args(1, 1),
	}
	drop := &cobra.Command{
		Use: "drop NAME", Short: "Remove a dead letter for good", Example: "  fenceline dead-letters drop fenceline-requests-42", Args: args(1, 1),
	}
	return family("dead-letters", "Look at messages that nobody could handle", "  fenceline dead-letters list",
		operator(list, listLetters), operator(show, showLetter),
		operator(requeue, func(ctx context.Context, s *session, args []string) error {
			if err := s.queue.RequeueDeadLetter(ctx, args[0]); err != nil {
				return err
			}
			return s.decided(map[string]string{"name": args[0], "state": "requeued"}, "%s: sent again", args[0])
		}),
		operator(drop, func(ctx context.Context, s *session, args []string) error {
			if err := s.queue.DropDeadLetter(ctx, args[0]); err != nil {
				return err
			}
			return s.decided(map[string]string{"name": args[0], "state": "dropped"}, "%s: dropped", args[0])
		}))
}

// letter is a dead letter with the name that the commands take.
type letter struct {
	Name string `json:"name"`
	messages.DeadLetter
}

func (s *session) letters(ctx context.Context) ([]letter, error) {
	found, err := s.queue.DeadLetters(ctx)
	out := []letter{}
	for _, l := range found {
		out = append(out, letter{queue.LetterName(l), l})
	}
	return out, err
}

func listLetters(ctx context.Context, s *session, _ []string) error {
	all, err := s.letters(ctx)
	if err != nil {
		return err
	}
	return s.print(all, func(w io.Writer) {
		head(w, "NAME", "SUBJECT", "AT", "REASON")
		for _, l := range all {
			row(w, l.Name, l.Subject, ago(l.At), l.Reason)
		}
	})
}

func showLetter(ctx context.Context, s *session, args []string) error {
	all, err := s.letters(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(l letter) bool { return l.Name == args[0] })
	if i < 0 {
		return fmt.Errorf("there is no dead letter %q: the list has their names ('fenceline dead-letters list')", args[0])
	}
	l := all[i]
	return s.print(l, func(w io.Writer) {
		row(w, "name", l.Name)
		row(w, "subject", l.Subject)
		row(w, "at", l.At.UTC().Format(time.RFC3339))
		row(w, "reason", l.Reason)
		row(w, "deliveries", l.Deliveries)
		if l.Omitted > 0 {
			row(w, "not kept", size(int64(l.Omitted))+" of the body")
		}
		for _, h := range sorted(l.Headers) {
			row(w, h, strings.Join(l.Headers[h], ", "))
		}
		fmt.Fprintf(w, "\n%s\n", printable(string(l.Body)))
	})
}
