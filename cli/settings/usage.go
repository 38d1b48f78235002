package settings

import (
	"fmt"

	"github.com/spf13/cobra"
)

// UsageError is a command line, a variable or a settings file that can't be carried out as it is
// written. Such a command ends with the exit status of a usage error.
type UsageError struct{ error }

// Unwrap returns what is wrong.
func (e UsageError) Unwrap() error { return e.error }

// Usage makes err a UsageError.
func Usage(err error) error { return UsageError{err} }

// Usagef makes a UsageError of a text, as fmt.Errorf does.
func Usagef(format string, a ...any) error { return UsageError{fmt.Errorf(format, a...)} }

// Args checks the number of arguments, which are named in the command's Use line.
func Args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		arguments := "arguments"
		if len(args) == 1 {
			arguments = "argument"
		}
		return Usagef("%d %s given where '%s' is wanted", len(args), arguments, cmd.UseLine())
	}
}
