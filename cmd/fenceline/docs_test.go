package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

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

// TestReferenceListsEveryFlag holds the tables of docs/configuration.md against the commands.
func TestReferenceListsEveryFlag(t *testing.T) {
	doc := readDoc(t, "docs/configuration.md")
	table := func(after string) []string {
		_, rest, ok := strings.Cut(doc, after)
		if !ok {
			t.Fatalf("docs/configuration.md has no %q", after)
		}
		var out []string
		begun := false
		for line := range strings.Lines(rest) {
			if flag, ok := strings.CutPrefix(line, "| `--"); ok {
				name, _, _ := strings.Cut(flag, "`")
				out, begun = append(out, name), true
			} else if begun {
				break
			}
		}
		return out
	}
	every := table("\nEvery role:\n")
	for command, documented := range map[string][]string{
		"up":              table("\n### fenceline up\n"),
		"run producer":    append(table("\n`fenceline run producer`:\n"), every...),
		"run builder":     append(table("\n`fenceline run builder`:\n"), every...),
		"run controller":  append(table("\n`fenceline run controller`:\n"), every...),
		"run distributor": append(table("\n`fenceline run distributor`:\n"), every...),
		"init":            table("\n### fenceline init\n"),
		"status":          append(table("\n### Commands of operators\n"), "output"),
	} {
		cmd, _, err := newRootCmd().Find(strings.Fields(command))
		if err != nil {
			t.Fatal(err)
		}
		have := flagsOf(cmd)
		slices.Sort(documented)
		if !slices.Equal(have, documented) {
			t.Errorf("%s has the flags\n%v\ndocs/configuration.md lists\n%v", command, have, documented)
		}
	}
}

// flagsOf lists a command's flags, sorted.
func flagsOf(cmd *cobra.Command) []string {
	var out []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			out = append(out, f.Name)
		}
	})
	return out
}

var ownFlag = regexp.MustCompile("(?m)^\\| `([a-z -]+)` \\| `--([a-z-]+)`")

// TestReferenceListsOwnFlags holds the table of the other commands' own flags against all of
// them: every flag besides those of the connection and the output is there, and no other.
func TestReferenceListsOwnFlags(t *testing.T) {
	documented := map[string][]string{}
	for _, m := range ownFlag.FindAllStringSubmatch(readDoc(t, "docs/configuration.md"), -1) {
		documented[m[1]] = append(documented[m[1]], m[2])
	}
	common := []string{"output"}
	for _, f := range new(access).fields() {
		common = append(common, f.flag)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "fenceline ")
		if c.HasParent() && name != "up" && name != "init" && !strings.HasPrefix(name, "run") {
			own := slices.DeleteFunc(flagsOf(c), func(f string) bool { return slices.Contains(common, f) })
			slices.Sort(documented[name])
			if !slices.Equal(own, documented[name]) {
				t.Errorf("%s has the flags\n%v\ndocs/configuration.md lists\n%v", name, own, documented[name])
			}
			delete(documented, name)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd())
	for name, flags := range documented {
		t.Errorf("docs/configuration.md lists flags of %s, which is no command: %v", name, flags)
	}
}

var inDocument = regexp.MustCompile("(?m)(?:^    |`)(?:bin/)?fenceline ([a-z][^#`\n]*)")

// TestDocumentedCommandsExist looks up every command line that a document or an example shows.
func TestDocumentedCommandsExist(t *testing.T) {
	for _, name := range []string{
		"README.md", "docs/concepts.md", "docs/configuration.md", "docs/operations.md",
		"examples/libgraphite2/README.md", "examples/admin-hooks/README.md", "examples/newrelic/README.md",
	} {
		for _, m := range inDocument.FindAllStringSubmatch(readDoc(t, name), -1) {
			if err := known(strings.Fields(m[1])); err != nil {
				t.Errorf("%s shows 'fenceline %s': %v", name, strings.TrimSpace(m[1]), err)
			}
		}
	}
}

// known tells whether a command line names a command and flags that there are.
func known(words []string) error {
	if words[0] == "COMMAND" {
		return nil
	}
	cmd, _, err := newRootCmd().Find(words)
	if err != nil {
		return err
	}
	if cmd.HasParent() && !cmd.Parent().HasParent() && cmd.Name() != words[0] {
		return usagef("no such command")
	}
	return flagsKnown(cmd, words)
}

func flagsKnown(cmd *cobra.Command, words []string) error {
	for _, w := range words {
		name, long := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		switch {
		case long && name != "help" && cmd.Flags().Lookup(name) == nil:
			return usagef("no flag %s", w)
		case !long && len(w) == 2 && w[0] == '-' && cmd.Flags().ShorthandLookup(w[1:]) == nil:
			return usagef("no flag %s", w)
		}
	}
	return nil
}

// TestExamplesPass holds the README to its word: a fresh checkout has no secrets, and its
// examples are right all the same.
func TestExamplesPass(t *testing.T) {
	for _, name := range []string{"libgraphite2", "admin-hooks", "newrelic"} {
		var out, errs strings.Builder
		if status := run(t.Context(), []string{"lint", "../../examples/" + name}, strings.NewReader(""), &out, &errs); status != exitDone {
			t.Errorf("linting examples/%s ends with %d:\n%s%s", name, status, out.String(), errs.String())
		}
	}
}
