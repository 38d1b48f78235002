package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newDeadLettersCmd() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List messages that nobody could handle", Example: "  fenceline dead-letters list", Args: settings.Args(0, 0),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Show a dead letter whole", Example: "  fenceline dead-letters show fenceline-requests-42", Args: settings.Args(1, 1),
	}
	requeue := &cobra.Command{
		Use: "requeue NAME", Short: "Send a dead letter's message again", Example: "  fenceline dead-letters requeue fenceline-requests-42", Args: settings.Args(1, 1),
	}
	drop := &cobra.Command{
		Use: "drop NAME", Short: "Remove a dead letter for good", Example: "  fenceline dead-letters drop fenceline-requests-42", Args: settings.Args(1, 1),
	}
	return Family("dead-letters", "Look at messages that nobody could handle", "  fenceline dead-letters list",
		operator(list, listLetters), operator(show, showLetter),
		operator(requeue, func(ctx context.Context, s *session, args []string) error {
			if _, err := s.findLetter(ctx, args[0]); err != nil {
				return err
			}
			if err := s.builds().RequeueDeadLetter(ctx, args[0]); err != nil {
				return err
			}
			return s.decided(map[string]string{"name": args[0], "state": "requeued"}, "%s: sent again", args[0])
		}),
		operator(drop, func(ctx context.Context, s *session, args []string) error {
			if _, err := s.findLetter(ctx, args[0]); err != nil {
				return err
			}
			if err := s.builds().DropDeadLetter(ctx, args[0]); err != nil {
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
	found, err := s.builds().DeadLetters(ctx)
	out := []letter{}
	for _, l := range found {
		out = append(out, letter{builds.LetterName(l), l})
	}
	return out, err
}

// findLetter finds the dead letter of a name.
func (s *session) findLetter(ctx context.Context, name string) (*letter, error) {
	all, err := s.letters(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(l letter) bool { return l.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no dead letter %q: the list has their names ('fenceline dead-letters list')", name)
	}
	return &all[i], nil
}

func listLetters(ctx context.Context, s *session, _ []string) error {
	all, err := s.letters(ctx)
	if err != nil {
		return err
	}
	return s.print(all, func(p *terminal.Page) {
		p.Head("NAME", "SUBJECT", "AT", "REASON")
		for _, l := range all {
			p.Row(l.Name, l.Subject, ago(l.At), l.Reason)
		}
	})
}

func showLetter(ctx context.Context, s *session, args []string) error {
	l, err := s.findLetter(ctx, args[0])
	if err != nil {
		return err
	}
	return s.print(l, func(p *terminal.Page) {
		p.Row("name", l.Name)
		p.Row("subject", l.Subject)
		p.Row("at", l.At.UTC().Format(time.RFC3339))
		p.Row("reason", l.Reason)
		p.Row("deliveries", l.Deliveries)
		if l.Omitted > 0 {
			p.Row("not kept", fmt.Sprintf("the message: its %d bytes were too many; drop the letter, and have it sent again by its source", l.Omitted))
		}
		for _, h := range sorted(l.Headers) {
			p.Row(h, strings.Join(l.Headers[h], ", "))
		}
		p.Line("")
		p.Text("", string(l.Body))
	})
}
