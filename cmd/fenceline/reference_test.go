package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docs/reference.md is made here, of the flags themselves.

const referenceFile = "../../docs/reference.md"

// TestReferenceIsCurrent compares docs/reference.md with the flags, or writes it with -update.
func TestReferenceIsCurrent(t *testing.T) {
	t.Setenv(settings.StateVariable, "")
	clitest.Golden(t, referenceFile, reference())
}

// TestReferenceIsTheSameOnEveryMachine: nothing of this one may be in it.
func TestReferenceIsTheSameOnEveryMachine(t *testing.T) {
	t.Setenv(settings.StateVariable, "")
	page := reference()
	if reference() != page {
		t.Error("it is not the same twice")
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(page, "`"+host+"`") || strings.Contains(page, "`"+settings.HostLabel()+"`") {
		t.Error("it has this machine's name")
	}
}

// TestReferenceHasEveryFlag looks for each flag of each command in the part of the page that
// is about it.
func TestReferenceHasEveryFlag(t *testing.T) {
	parts := map[string]string{}
	for _, part := range strings.Split(readDoc(t, "docs/reference.md"), "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		parts[title] = text
	}
	walkCommands(newRoot(), func(c *cobra.Command, name string) {
		text := parts["Commands of operators"]
		switch {
		case isRole(c):
			text = parts["Every role"] + parts["fenceline "+name]
		case parts["fenceline "+name] != "":
			text = parts["fenceline "+name]
		}
		for _, flag := range flagsOf(c) {
			if !strings.Contains(text, "`--"+flag+"`") && !strings.Contains(text, "`"+flag+"`") {
				t.Errorf("the part about %q has no %s", name, flag)
			}
		}
	})
}

func walkCommands(c *cobra.Command, do func(c *cobra.Command, name string)) {
	if c.HasParent() {
		do(c, strings.TrimPrefix(c.CommandPath(), "fenceline "))
	}
	for _, sub := range c.Commands() {
		walkCommands(sub, do)
	}
}

func isRole(c *cobra.Command) bool { return c.Parent().Name() == "run" }

func reference() string {
	b := &strings.Builder{}
	b.WriteString(referenceHead)
	root := newRoot()
	find := func(path ...string) *cobra.Command {
		c, _, err := root.Find(path)
		if err != nil {
			panic(err)
		}
		return c
	}
	common := commonFlags(find)
	b.WriteString("\n## Every role\n\n`fenceline run ROLE` has these for each role.\n\n")
	settingsTable(b, find("run", "producer").Flags(), func(name string) bool { return slices.Contains(common, name) })
	for _, role := range settings.Roles() {
		c := find("run", role)
		fmt.Fprintf(b, "\n## fenceline run %s\n\n%s\n\n", role, c.Short+".")
		settingsTable(b, c.Flags(), func(name string) bool { return !slices.Contains(common, name) })
	}
	b.WriteString("\n## fenceline up\n\nEverything on this machine. Port 0 takes a free port; `client.json` in the state folder has the one that was taken.\n\n")
	settingsTable(b, find("up").Flags(), func(string) bool { return true })
	b.WriteString("\n## fenceline init\n\nThe files of the first step, or the streams and buckets of the second: [deployment.md](deployment.md) shows both.\n\n")
	settingsTable(b, find("init").Flags(), func(string) bool { return true })
	b.WriteString("\n## fenceline install\n\nMakes a role a service of systemd. These are given on the line alone.\n\n")
	settingsTable(b, find("install").Flags(), func(string) bool { return true })
	b.WriteString(operatorsHead)
	operatorTables(b, root)
	return b.String()
}

const referenceHead = `# Reference

Every setting and every flag, from the program itself: this page is written by ` + "`make reference`" + `, and a test holds it to the flags.
[configuration.md](configuration.md) says how they are given, and has the pipeline file.

A setting has one name in three places. ` + "`--nats-listen`" + ` on the line, ` + "`FENCELINE_NATS_LISTEN`" + ` as a variable and ` + "`nats-listen`" + ` in a settings file are the same; a flag
wins over its variable, and that over the file.

| kind | on the line and as a variable | in a settings file |
| --- | --- | --- |
| text, name | as it is | text; in quotes where YAML takes it for something else |
| file, folder, program | a path; a relative one counts from where the program runs | a path; a relative one counts from the file's folder |
| number | digits | the same |
| duration | ` + "`90s`, `10m`, `1h30m`, `7d`" + ` | the same |
| yes or no | the flag alone, or ` + "`=true`, `=false`" + ` | ` + "`true`, `false`" + ` |
| list | the flag several times, or items with commas between | a list |
| pairs | ` + "`NAME=VALUE`" + `, several times, or with commas between | a mapping |
`

const operatorsHead = `
## Commands of operators

How they connect can be given by flags, else by variables, else it is found in ` + "`client.json`" + ` in the state folder of ` + "`fenceline up`" + ` (` + "`./.fenceline`, or `FENCELINE_STATE`" + `).
What they do is on their line: of ` + "`doctor` and `notify`" + ` alone each flag can be given as a variable.

`

// commonFlags are those that all roles have, and mean the same.
func commonFlags(find func(...string) *cobra.Command) []string {
	var out []string
	for _, name := range flagsOf(find("run", settings.Roles()[0])) {
		usage := find("run", settings.Roles()[0]).Flags().Lookup(name).Usage
		everywhere := true
		for _, role := range settings.Roles() {
			f := find("run", role).Flags().Lookup(name)
			everywhere = everywhere && f != nil && f.Usage == usage
		}
		if everywhere {
			out = append(out, name)
		}
	}
	return out
}

func settingsTable(b *strings.Builder, fs *pflag.FlagSet, in func(name string) bool) {
	b.WriteString("| setting | kind | what it is | default |\n| --- | --- | --- | --- |\n")
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && in(f.Name) {
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", written(f), kindOf(f), cell(settings.Meaning(f)), defaultCell(f))
		}
	})
}

// written is a flag as it is written, and its short form.
func written(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "`--" + f.Name + "`, `-" + f.Shorthand + "`"
	}
	return "`--" + f.Name + "`"
}

func operatorTables(b *strings.Builder, root *cobra.Command) {
	status, _, _ := root.Find([]string{"status"})
	b.WriteString("| flag | variable | what it is |\n| --- | --- | --- |\n")
	shared := []string{"output"}
	for _, field := range cli.ConnectionFlags() {
		f := status.Flags().Lookup(field)
		fmt.Fprintf(b, "| %s | `%s` | %s |\n", written(f), settings.Variable(f.Name), cell(settings.Meaning(f)))
		shared = append(shared, f.Name)
	}
	b.WriteString("| `--output`, `-o` | `FENCELINE_OUTPUT` | `table`, or `json` for programs |\n\nBesides these they have, as `fenceline COMMAND --help` shows with an example each:\n\n")
	b.WriteString("| command | flag | kind | what it is | default |\n| --- | --- | --- | --- | --- |\n")
	walkCommands(root, func(c *cobra.Command, name string) {
		if isRole(c) || slices.Contains([]string{"up", "init", "install"}, name) {
			return
		}
		for _, flag := range flagsOf(c) {
			of := c.Flags().Lookup(flag)
			if slices.Contains(shared, flag) {
				continue
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", name, written(of), kindOf(of), cell(settings.Meaning(of)), defaultCell(of))
		}
	})
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func kindOf(f *pflag.Flag) string {
	switch kind := f.Value.Type(); kind {
	case "string", "stringArray", "COMMIT":
		return "text"
	case "int", "int64":
		return "number"
	case "bool":
		return "yes or no"
	case "stringSlice":
		return "list"
	case settings.Labels{}.Type():
		return "pairs"
	case "PREFIX":
		return "name"
	default:
		return strings.ToLower(kind)
	}
}

// defaultCell is what a flag is where nothing says otherwise.
func defaultCell(f *pflag.Flag) string {
	value, words := settings.DefaultOf(f)
	switch {
	case settings.Needed(f):
		return "required"
	case f.Value.Type() == "bool":
		return "no"
	case words != "":
		return cell(words)
	case value != "":
		return "`" + value + "`"
	}
	return "none"
}
