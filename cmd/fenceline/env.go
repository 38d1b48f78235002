package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variable is the environment variable of a flag: FENCELINE_ and its name in capitals.
func variable(flag string) string {
	return "FENCELINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment gives flags that were not written their variable's value, where it is set:
// those named, or all.
func fromEnvironment(cmd *cobra.Command, named ...string) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v := os.Getenv(variable(f.Name))
		if f.Changed || v == "" || f.Name == "help" || len(named) > 0 && !slices.Contains(named, f.Name) {
			return
		}
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			errs = append(errs, usagef("$%s: %w", variable(f.Name), err))
		}
	})
	return errors.Join(errs...)
}

// envNote ends the help of commands whose flags are variables too, with one of them.
func envNote(flag string) string {
	return "\n\nEvery flag can be given as a variable: --" + flag + " as $" + variable(flag) + "."
}

// settingsNote is envNote for commands that have a settings file too.
func settingsNote(flag string) string {
	return "\n\nEvery flag can be given as a variable or in the file that --" + settingsKey + " names: --" + flag + " as $" + variable(flag) +
		", or\nas " + flag + ": VALUE. A flag wins over its variable, and that over the file."
}

// hostLabel is this machine's name as a DNS label, for names of nodes and workers.
func hostLabel() string {
	name, err := os.Hostname()
	if err != nil {
		return "node"
	}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name[:min(len(name), 63)], "-"); name == "" {
		return "node"
	}
	return name
}

// labels is a flag of the form NAME=VALUE, given several times.
type labels map[string]string

// String lists the labels.
func (l labels) String() string {
	var out []string
	for _, k := range sorted(l) {
		out = append(out, k+"="+l[k])
	}
	return strings.Join(out, ",")
}

// Set adds one or more, comma-separated.
func (l labels) Set(s string) error {
	for _, pair := range strings.Split(s, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q is not NAME=VALUE", pair)
		}
		l[k] = v
	}
	return nil
}

// Type names the flag's value in help.
func (labels) Type() string { return "NAME=VALUE" }
