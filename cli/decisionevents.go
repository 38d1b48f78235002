package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// viaWatch is where decisions are taken whose screen is not to be written over.
const viaWatch = "watch"

// decisionTime bounds the telling of a decision.
const decisionTime = 5 * time.Second

// deciding is operator for a command that decides something: what it was asked for, and what became of that, is told as an event.
func deciding(cmd *cobra.Command, do func(ctx context.Context, s *session, args []string) error) *cobra.Command {
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		action, told := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), false
		s.tell = func(fleet, about string, err error) {
			told = true
			s.tellDecision(ctx, &messages.DecisionMade{Action: action, Fleet: fleet, About: about, Via: "command line"}, err)
		}
		err := do(ctx, s, args)
		if told || errors.As(err, new(settings.UsageError)) {
			return err // that asked for nothing yet
		}
		m := &messages.DecisionMade{
			Action: action, Fleet: s.fleet, Via: "command line", To: given(cmd, "to"), Reason: given(cmd, "reason"),
		}
		for _, a := range args {
			if a != s.fleet {
				m.About = strings.TrimSpace(m.About + " " + a)
			}
		}
		s.tellDecision(ctx, m, err)
		return err
	})
}

// given is the value of a flag that a command has.
func given(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// stands tells whether what was asked for is done all the same, though something that follows from it is not.
func stands(err error) bool {
	for _, done := range []error{people.ErrDecided, errNotApplied, builds.ErrUnannounced, builds.ErrRequeued} {
		if errors.Is(err, done) {
			return true
		}
	}
	return false
}

// tellDecision tells of what was asked for, and what became of it. That it can't changes nothing of what was decided.
func (s *session) tellDecision(ctx context.Context, m *messages.DecisionMade, err error) {
	m.At, m.By, m.Outcome = time.Now().UTC(), whoami(), messages.OutcomeAccepted
	m.From, _ = os.Hostname() // "" where the system doesn't know
	m.About, m.To, m.Reason = messages.Shorten(m.About, people.MaxReason), messages.Shorten(m.To, people.MaxReason), messages.Shorten(m.Reason, people.MaxReason)
	if err != nil && !s.done && !stands(err) {
		m.Outcome, m.Why = messages.OutcomeRefused, messages.Shorten(err.Error(), people.MaxReason)
		m.Doubtful = errors.Is(err, queue.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), decisionTime)
	defer cancel()
	lost := s.queue.Publish(ctx, "", m)
	if lost != nil && !errors.Is(lost, queue.ErrForbidden) && s.queue.Connected() && s.notes != nil && m.Via != viaWatch {
		_ = terminal.Line(s.notes, "note: 'fenceline audit' will not show this: %v", lost)
	}
}
