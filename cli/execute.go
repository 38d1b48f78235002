package cli

import (
	"context"
	"errors"
	"io"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// The exit statuses, the same for every command.
const (
	ExitDone    = 0
	ExitFailed  = 1
	ExitUsage   = 2
	ExitBlocked = 3 // of plan: something stands in the way; of diff --exit-code: the images differ

	// Those of status that waits for a build, beside 0, 1 and 2.
	ExitNoImage    = 4 // the build, or a rollout of it, failed
	ExitTurnedBack = 5 // a fleet went back from the image
	ExitHeld       = 6 // a fleet is held, and what is waited for comes only when somebody releases it
	ExitReplaced   = 7 // the build or a rollout was superseded, cancelled or aborted
	ExitLate       = 8 // it has not come to that in time
)

// exitError is an error with an exit status of its own.
type exitError struct {
	status int
	error
}

func (e *exitError) Unwrap() error { return e.error }

// Execute carries out one command line of root, says on stderr what went wrong, and returns its
// exit status.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetIn(stdin)
	stdout, stderr = terminal.New(stdout), terminal.New(stderr)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitDone
	}
	if errors.Is(err, errBlocked) || errors.Is(err, errDiffer) {
		return ExitBlocked
	}
	if interrupted(ctx, err) {
		err = errInterrupted
	}
	says := terminal.NewPage(stderr)
	says.Line("fenceline: %v", nameFlags(cmd.Flags(), err))
	var usage settings.UsageError
	if errors.As(err, &usage) {
		says.Line("See '%s --help'.", cmd.CommandPath())
		return ExitUsage
	}
	var own *exitError
	if errors.As(err, &own) {
		return own.status
	}
	return ExitFailed
}

// errInterrupted is why a command ended that was told to.
var errInterrupted = errors.New("interrupted")

// interrupted tells whether an error is nothing but the end that was asked for, by ctx.
func interrupted(ctx context.Context, err error) bool { return err != nil && Ended(ctx, err) == nil }

// Ended takes the end that was asked for, by ctx, for no error.
func Ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}
