package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// flagsOf lists a command's flags, sorted.
func flagsOf(cmd *cobra.Command) []string {
	var out []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			out = append(out, f.Name)
		}
	})
	return out
}

// documents are the files of all documents, by their path in the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/decisions/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(found), err)
		}
		for _, path := range found {
			out = append(out, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
		}
	}
	return out
}

// shownCommand finds command lines in indented lines and in code among text.
var shownCommand = regexp.MustCompile("(?m)(?:^    (?:.*[ (])?|`)(?:bin/)?fenceline ([a-z][^#`'\n]*)")

// TestDocumentedCommandsExist looks up every command line that a document shows: its command and
// its flags.
func TestDocumentedCommandsExist(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range documents(t) {
		text := strings.ReplaceAll(readDoc(t, name), "\\\n", " ")
		for _, m := range shownCommand.FindAllStringSubmatch(text, -1) {
			seen[m[1]] = true
			if err := known(strings.Fields(m[1])); err != nil {
				t.Errorf("%s shows 'fenceline %s': %v", name, strings.TrimSpace(m[1]), err)
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d command lines were found in the documents", len(seen))
	}
}

// known tells whether a command line names a command and flags that there are. A word in capitals
// stands for others.
func known(words []string) error {
	cmd, rest, err := wholeRoot().Find(words)
	if err != nil {
		return err
	}
	if cmd.HasParent() && !cmd.Parent().HasParent() && cmd.Name() != words[0] {
		return settings.Usagef("no such command")
	}
	if cmd.HasSubCommands() && !strings.Contains(cmd.Use, "[") && len(rest) > 0 && rest[0] != strings.ToUpper(rest[0]) && !strings.HasPrefix(rest[0], "-") {
		return settings.Usagef("%s has no %s", cmd.CommandPath(), rest[0])
	}
	return flagsKnown(cmd, words)
}

func flagsKnown(cmd *cobra.Command, words []string) error {
	for _, w := range words {
		name, long := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		switch {
		case long && name != "help" && cmd.Flags().Lookup(name) == nil:
			return settings.Usagef("no flag %s", w)
		case !long && len(w) == 2 && w[0] == '-' && cmd.Flags().ShorthandLookup(w[1:]) == nil:
			return settings.Usagef("no flag %s", w)
		}
	}
	return nil
}

// TestTheGuidesExamplesAreLintedAsTheirReadmeSays: every line that lint prints of the admin guide's own
// examples stands there, one after the other.
func TestTheGuidesExamplesAreLintedAsTheirReadmeSays(t *testing.T) {
	readme := readDoc(t, "examples/guide/README.md")
	t.Chdir("../..")
	for name, want := range map[string]int{
		"libgraphite2": cli.ExitDone, "upgrade-alsek": cli.ExitFailed, "without-sudo": cli.ExitDone, "newrelic": cli.ExitFailed,
	} {
		var out, errs strings.Builder
		if status := run(t.Context(), []string{"lint", "examples/guide/" + name}, strings.NewReader(""), &out, &errs); status != want {
			t.Errorf("linting %s ends with %d:\n%s%s", name, status, out.String(), errs.String())
		}
		block := "\n    " + strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", "\n    ") + "\n\n"
		if !strings.Contains(readme, block) {
			t.Errorf("the README does not have what lint says of %s:\n%s", name, block)
		}
	}
}

// TestExamplesPass holds the README to its word: a fresh checkout has no secrets, and its
// examples are right all the same.
func TestExamplesPass(t *testing.T) {
	for _, name := range []string{"libgraphite2", "admin-hooks", "newrelic"} {
		var out, errs strings.Builder
		if status := run(t.Context(), []string{"lint", "../../examples/" + name}, strings.NewReader(""), &out, &errs); status != cli.ExitDone {
			t.Errorf("linting examples/%s ends with %d:\n%s%s", name, status, out.String(), errs.String())
		}
	}
}

// TestDocumentedSettingsLoad reads the settings files that documents show: each names its role
// in the line above.
func TestDocumentedSettingsLoad(t *testing.T) {
	shown := regexp.MustCompile("(?s)A (producer|builder|controller|node)'s:\n\n *```yaml\n(.*?)```")
	for _, name := range []string{"docs/configuration.md", "docs/deployment.md"} {
		found := shown.FindAllStringSubmatch(readDoc(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s shows no settings", name)
		}
		for _, m := range found {
			role := strings.Replace(m[1], "node", settings.RoleDistributor, 1)
			if _, err := settings.Parse(name, []byte(m[2]), role); err != nil {
				t.Error(err)
			}
		}
	}
}
