package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
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
	return Family("dead-letters", "Look at messages that nobody could handle", "  fenceline dead-letters list",
		operator(list, listLetters), operator(show, showLetter),
		newLettersCmd("requeue", "Send dead letters' messages again", "sent again", func(ctx context.Context, s *session, name string) error {
			_, err := s.builds().RequeueDeadLetter(ctx, name, whoami())
			return err
		}),
		newLettersCmd("drop", "Remove dead letters for good", "dropped", func(ctx context.Context, s *session, name string) error {
			return s.builds().DropDeadLetter(ctx, name)
		}))
}

// chosenLetters is which letters a command is about.
type chosenLetters struct {
	names []string
	all   bool
	older time.Duration
	byAge bool
}

// String says which.
func (c *chosenLetters) String() string {
	switch {
	case c.all:
		return "all"
	case c.byAge:
		return fmt.Sprintf("all older than %s", c.older)
	}
	return strings.Join(c.names, " ")
}

// newLettersCmd is a command that does something with each of the letters that are chosen.
func newLettersCmd(use, short, did string, do func(ctx context.Context, s *session, name string) error) *cobra.Command {
	var c chosenLetters
	cmd := &cobra.Command{
		Use: use + " NAME...", Short: short,
		Example: fmt.Sprintf("  fenceline dead-letters %s fenceline-requests-42\n  fenceline dead-letters %s --older-than 7d", use, use),
	}
	cmd.Flags().BoolVar(&c.all, "all", false, "all that there are")
	settings.SpanVar(cmd.Flags(), &c.older, "older-than", 0, "those of so long ago, such as 7d")
	settings.DefaultsTo(cmd.Flags(), "older-than", "none")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		c.names, c.byAge = args, cmd.Flags().Changed("older-than")
		ways := 0
		for _, chosen := range []bool{len(args) > 0, c.all, c.byAge} {
			if chosen {
				ways++
			}
		}
		if ways != 1 {
			return settings.Usagef("give either names, as in '%s', or --all, or --older-than", cmd.UseLine())
		}
		return nil
	}
	state := map[string]string{"requeue": "requeued", "drop": "dropped"}[use]
	return deciding(cmd, func(ctx context.Context, s *session, _ []string) error {
		chosen, err := s.chosen(ctx, &c)
		if err != nil {
			s.tell("", c.String(), err)
			return err
		}
		if len(chosen) == 0 {
			s.tell("", c.String()+": there is none", nil)
		}
		done := []map[string]string{}
		var failed error
		for _, l := range chosen {
			err := do(ctx, s, l.Name)
			s.tell("", l.Name, err)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			done = append(done, map[string]string{"name": l.Name, "state": state})
		}
		if failed != nil && len(done) == 0 {
			return failed
		}
		var answer any = done
		if len(c.names) == 1 {
			answer = done[0]
		}
		return errors.Join(failed, s.print(answer, func(p *terminal.Page) {
			for _, l := range done {
				p.Line("%s: %s", l["name"], did)
			}
			if len(done) == 0 {
				p.Line("there is no such dead letter")
			}
		}))
	})
}

// chosen are the letters that a command is about. Names are all known before anything is done.
func (s *session) chosen(ctx context.Context, c *chosenLetters) ([]overview.Letter, error) {
	if len(c.names) > 0 {
		var out []overview.Letter
		for _, name := range c.names {
			l, err := s.findLetter(ctx, name)
			if err != nil {
				return nil, err
			}
			out = append(out, *l)
		}
		return out, nil
	}
	all, err := s.letters(ctx)
	if err != nil || c.all {
		return all, err
	}
	now, err := store.NewClock(s.queue).Now(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(l overview.Letter) bool { return now.Sub(l.At) < c.older }), nil
}

func (s *session) letters(ctx context.Context) ([]overview.Letter, error) {
	found, err := s.builds().DeadLetters(ctx)
	out := []overview.Letter{}
	for _, l := range found {
		out = append(out, overview.NewLetter(l))
	}
	return out, err
}

// findLetter finds the dead letter of a name.
func (s *session) findLetter(ctx context.Context, name string) (*overview.Letter, error) {
	all, err := s.letters(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(l overview.Letter) bool { return l.Name == name })
	if i < 0 {
		var known []string
		for _, l := range all {
			known = append(known, l.Name)
		}
		return nil, unknown("dead letter", name, known, "the list has their names: 'fenceline dead-letters list'")
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
			p.Row(l.Name, l.Subject, overview.Ago(l.At), l.Reason)
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
		if l.Led != nil {
			p.Row("build", l.Build)
			p.Row("led to it", l.Led.String())
		}
		p.Row("deliveries", l.Deliveries)
		if l.Omitted > 0 {
			p.Row("not kept", fmt.Sprintf("the message: its %d bytes were too many; drop the letter, and have it sent again by its source", l.Omitted))
		}
		for _, h := range sorted(l.Headers) {
			p.Row(h, strings.Join(l.Headers[h], ", "))
		}
		p.Line("")
		p.Text("| ", string(l.Body))
	})
}
