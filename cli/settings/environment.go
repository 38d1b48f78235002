package settings

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Variable is the environment variable of a flag: FENCELINE_ and its name in capitals.
func Variable(flag string) string {
	return "FENCELINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// FromEnvironment gives flags that were not written their variable's value, where it is set:
// those named, or all.
func FromEnvironment(fs *pflag.FlagSet, named ...string) error {
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		v := os.Getenv(Variable(f.Name))
		if f.Changed || v == "" || f.Name == "help" || len(named) > 0 && !slices.Contains(named, f.Name) {
			return
		}
		if err := fs.Set(f.Name, v); err != nil {
			errs = append(errs, Usagef("$%s: %w", Variable(f.Name), err))
		}
	})
	return errors.Join(errs...)
}

// VariablesNote ends the help of commands whose flags are variables too, with one of them.
func VariablesNote(flag string) string {
	return "\n\nEvery flag can be given as a variable: --" + flag + " as $" + Variable(flag) + "."
}

// FileNote is VariablesNote for commands that have a settings file too.
func FileNote(flag string) string {
	return "\n\nEvery flag can be given as a variable or in the file that --" + FileFlag + " names: --" + flag + " as $" + Variable(flag) +
		", or\nas " + flag + ": VALUE. A flag wins over its variable, and that over the file."
}
