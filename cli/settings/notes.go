package settings

import (
	"regexp"
	"strings"

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

// Explain notes sentences about a flag for whoever wants to know more than its usage says.
func Explain(fs *pflag.FlagSet, name, more string) { note(fs, name, noteMore, more) }

// DefaultsTo notes a flag's default in words, where it differs between machines.
func DefaultsTo(fs *pflag.FlagSet, name, words string) { note(fs, name, noteDefault, words) }

// Need makes flags ones that Required refuses to do without.
func Need(fs *pflag.FlagSet, names ...string) {
	for _, n := range names {
		note(fs, n, noteNeeded, "")
	}
}

// Needed tells whether a flag must have a value.
func Needed(f *pflag.Flag) bool { return f.Annotations[noteNeeded] != nil }

// Required refuses flags that have no value and need one.
func Required(fs *pflag.FlagSet) error {
	var err error
	fs.VisitAll(func(f *pflag.Flag) {
		if err != nil || !Needed(f) || f.Value.String() != "" {
			return
		}
		or := "$" + Variable(f.Name)
		if fs.Lookup(FileFlag) != nil {
			or += ", or " + f.Name + " in the file of --" + FileFlag
		}
		err = Usagef("--%s is missing (or %s): %s", f.Name, or, f.Usage)
	})
	return err
}

var (
	usageVariable = regexp.MustCompile(` \[\$[A-Z_]+\]$`)
	usageDefault  = regexp.MustCompile(` \(default:? (.*)\)$`)
)

// Meaning is what a flag's usage says, and what is noted beside it.
func Meaning(f *pflag.Flag) string {
	text := usageDefault.ReplaceAllString(usageVariable.ReplaceAllString(f.Usage, ""), "")
	if more := f.Annotations[noteMore]; more != nil {
		text += ". " + strings.TrimSuffix(more[0], ".")
	}
	return text
}

// DefaultOf is what a flag is where nothing says otherwise: a value as it would be given, else
// words for it. Both are empty where it is nothing.
func DefaultOf(f *pflag.Flag) (value, words string) {
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
