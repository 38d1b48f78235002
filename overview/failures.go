package overview

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Explained tells whether the findings say why: each has place, cause and fix. Warnings alone
// don't.
func Explained(f *messages.Failure) bool {
	return slices.ContainsFunc(f.Findings, func(x messages.Finding) bool { return !x.Warning })
}

// Labelled is a finding that is told from those that refuse an image where it is a warning.
func Labelled(f messages.Finding) string {
	if f.Warning {
		return "warning: " + f.String()
	}
	return f.String()
}

// Remedy is what to do about a failure, and what to run then.
func Remedy(f *messages.Failure, build string) []string {
	var out []string
	if f.Fix != "" && !Explained(f) {
		out = append(out, "fix: "+f.Fix)
	}
	switch {
	case strings.Contains(f.Fix, "fenceline retry"):
	case f.Class == messages.FailureUser || f.Class == messages.FailureHooks:
		out = append(out, "then push, or build the same again: fenceline retry "+build)
	default:
		out = append(out, "then run: fenceline retry "+build)
	}
	return out
}
