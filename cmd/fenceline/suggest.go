package main

import (
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is a mistake with a flag, with the flag that may be meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usageError{err}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := suggest.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		err = fmt.Errorf("%w: did you mean --%s?", err, near)
	}
	return usageError{err}
}
