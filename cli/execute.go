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
	ExitBlocked = 3 // of plan: something stands in the way
)

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
	if errors.Is(err, errBlocked) {
		return ExitBlocked
	}
	if Ended(ctx, err) == nil {
		err = errors.New("interrupted")
	}
	says := terminal.NewPage(stderr)
	says.Line("fenceline: %v", nameFlags(cmd.Flags(), err))
	var usage settings.UsageError
	if errors.As(err, &usage) {
		says.Line("See '%s --help'.", cmd.CommandPath())
		return ExitUsage
	}
	return ExitFailed
}

// Ended takes the end that was asked for, by ctx, for no error.
func Ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}
