package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What docs/reference.md says of a flag beyond its usage is kept beside it, as annotations.
const (
	noteMore    = "fenceline_more"    // sentences for whoever wants to know more
	noteDefault = "fenceline_default" // the default in words, where it differs between machines
	noteNeeded  = "fenceline_needed"  // there is no default and no doing without
)

func note(fs *pflag.FlagSet, name, key, text string) {
	f := fs.Lookup(name)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[key] = []string{text}
}

func explain(fs *pflag.FlagSet, name, more string) { note(fs, name, noteMore, more) }

func defaultsTo(fs *pflag.FlagSet, name, words string) { note(fs, name, noteDefault, words) }

// need makes flags ones that required refuses to do without.
func need(fs *pflag.FlagSet, names ...string) {
	for _, n := range names {
		note(fs, n, noteNeeded, "")
	}
}

// needed tells whether a flag must have a value.
func needed(f *pflag.Flag) bool { return f.Annotations[noteNeeded] != nil }

// required refuses flags that have no value and need one.
func required(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || !needed(f) || f.Value.String() != "" {
			return
		}
		or := "$" + variable(f.Name)
		if cmd.Flags().Lookup(settingsKey) != nil {
			or += ", or " + f.Name + " in the file of --" + settingsKey
		}
		err = usagef("--%s is missing (or %s): %s", f.Name, or, f.Usage)
	})
	return err
}

var (
	usageVariable = regexp.MustCompile(` \[\$[A-Z_]+\]$`)
	usageDefault  = regexp.MustCompile(` \(default:? (.*)\)$`)
)

// meaning is what a flag's usage says, and what is noted beside it.
func meaning(f *pflag.Flag) string {
	text := usageDefault.ReplaceAllString(usageVariable.ReplaceAllString(f.Usage, ""), "")
	if more := f.Annotations[noteMore]; more != nil {
		text += ". " + strings.TrimSuffix(more[0], ".")
	}
	return text
}

// defaultOf is what a flag is where nothing says otherwise: a value as it would be given, else
// words for it. Both are empty where it is nothing.
func defaultOf(f *pflag.Flag) (value, words string) {
	if noted := f.Annotations[noteDefault]; noted != nil {
		return "", noted[0]
	}
	if m := usageDefault.FindStringSubmatch(usageVariable.ReplaceAllString(f.Usage, "")); m != nil {
		if strings.Contains(m[1], " ") {
			return "", m[1]
		}
		return strings.Trim(m[1], `"`), ""
	}
	if f.DefValue == "[]" {
		return "", ""
	}
	return f.DefValue, ""
}
