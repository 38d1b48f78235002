package cli

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit/display"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/spf13/cobra"
)

// session is one operator's command on its way.
type session struct {
	access *access
	queue  *queue.Client
	in     io.Reader // nil for none
	out    io.Writer
	notes  io.Writer // what is beside the output; nil for nowhere
	format format
	fleet  string // that a decision is about, once it is known
	// tell tells what became of a decision about one of several things, in place of one event for all of them: of which some may be
	// done and others not. It is there for commands that decide.
	tell   func(fleet, about string, err error)
	done   bool              // what was asked for is decided: what goes wrong after that, such as printing it, refuses nothing
	broken map[string]string // rollouts that were listed and whose records can't be read, and why
	// patience is how long a server that is away is waited for; 0 is awayMost.
	patience time.Duration

	drawing     atomic.Pointer[display.Display]        // what notes are shown in, while there is one
	allRollouts *[]queue.Entry[messages.RolloutRecord] // read once, for all fleets
}

// builds is the way to the installation's builds.
func (s *session) builds() *builds.Queue { return builds.New(s.queue) }

// operator makes cmd one that runs with a connection: do gets it, and where to print to. Only
// how it connects and prints can be given as a variable, and what else variables names: what it does is on its line.
func operator(cmd *cobra.Command, do func(ctx context.Context, s *session, args []string) error, variables ...string) *cobra.Command {
	var a access
	var f format
	a.flags(cmd.Flags())
	f.flag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := settings.FromEnvironment(cmd.Flags(), append(append(ConnectionFlags(), "output"), variables...)...); err != nil {
			return err
		}
		if err := a.resolve(); err != nil {
			return err
		}
		c, err := a.dial(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), &session{access: &a, queue: c, in: cmd.InOrStdin(), out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), format: f}, args)
	}
	return cmd
}
