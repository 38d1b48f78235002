package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/spf13/cobra"
)

const (
	repository    = "https://git.example.com/ops/base.git"
	commit        = "0123456789abcdef0123456789abcdef01234567"
	goodPipelines = `version: 1
pipelines:
  - name: base
    repository: ` + repository + `
    image: registry.example.com/exampleco/base
`
)

// said is what a command line did.
type said struct {
	out, err string
	status   int
}

// fenceline runs a command line as main does.
func fenceline(t *testing.T, args ...string) said {
	t.Helper()
	return withInput(t, "", args...)
}

func withInput(t *testing.T, in string, args ...string) said {
	t.Helper()
	if os.Getenv(settings.StateVariable) == "" {
		t.Setenv(settings.StateVariable, t.TempDir()) // where nothing has run
	}
	var out, err bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(in), &out, &err)
	return said{out.String(), err.String(), status}
}

// done fails the test unless a command line ended well, and returns its output.
func done(t *testing.T, args ...string) string {
	t.Helper()
	s := fenceline(t, args...)
	if s.status != cli.ExitDone || s.err != "" {
		t.Fatalf("fenceline %s: status %d, %s", strings.Join(args, " "), s.status, s.err)
	}
	return s.out
}

func TestStatusOfMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"unknown command":        {[]string{"rolback"}, cli.ExitUsage, "did you mean rollback?"},
		"unknown subcommand":     {[]string{"nodes", "retier", "x"}, cli.ExitUsage, "retire"},
		"unknown role":           {[]string{"run", "cook"}, cli.ExitUsage, "cook"},
		"unknown flag":           {[]string{"up", "--listn", "x"}, cli.ExitUsage, "did you mean --listen?"},
		"a long interval":        {[]string{"up", "--interval", "16s"}, cli.ExitUsage, "every 15s or more often, or have them kept for longer (--interval"},
		"a short time to live":   {[]string{"up", "--node-ttl", "5s"}, cli.ExitUsage, "every 2.5s or more often"},
		"a producer's layout":    {[]string{"run", "producer", "--ack-wait", "1m"}, cli.ExitUsage, "unknown flag: --ack-wait"},
		"steps of another":       {[]string{"up", "--buildkitd", "tcp://b:1", "--step-network", "own"}, cli.ExitUsage, "--step-network is for a buildkitd that this one starts"},
		"bounds of another":      {[]string{"up", "--buildkitd", "unix:///b.sock", "--step-memory-bytes", "1"}, cli.ExitUsage, "--step-memory-bytes is for a buildkitd"},
		"processes of another":   {[]string{"up", "--buildkitd", "unix:///b.sock", "--step-processes", "5"}, cli.ExitUsage, "--step-processes is for a buildkitd"},
		"limits of no mirror":    {[]string{"up", "--pull", "load", "--mirror-time-limit", "3s"}, cli.ExitUsage, "--pull load uses none"},
		"limits of no mirrors":   {[]string{"run", "distributor", "--nats", "nats://127.0.0.1:1", "--pull", "engine", "--mirror-back-off", "3s"}, cli.ExitUsage, "--pull engine uses none"},
		"unlike any flag":        {[]string{"up", "--zzzzzzzz"}, cli.ExitUsage, "unknown flag: --zzzzzzzz\n"},
		"unknown short flag":     {[]string{"up", "-Z"}, cli.ExitUsage, "'Z'"},
		"help on no command":     {[]string{"help", "rolback"}, cli.ExitUsage, "did you mean rollback?"},
		"an unknown shell":       {[]string{"completion", "tcsh"}, cli.ExitUsage, "tcsh"},
		"completion of more":     {[]string{"completion", "bash", "x"}, cli.ExitUsage, "1 argument given"},
		"a flag's bad value":     {[]string{"run", "builder", "--slots", "many"}, cli.ExitUsage, "many"},
		"unknown format":         {[]string{"status", "-o", "xml"}, cli.ExitUsage, "neither table nor json"},
		"missing argument":       {[]string{"cancel"}, cli.ExitUsage, "cancel BUILD"},
		"too many arguments":     {[]string{"rollback", "a", "b"}, cli.ExitUsage, "rollback [FLEET]"},
		"missing flag":           {[]string{"run", "builder"}, cli.ExitUsage, "--nats is missing (or $FENCELINE_NATS, or nats in the file of --settings)"},
		"missing flag of notify": {[]string{"notify", "--url", "http://x"}, cli.ExitUsage, "--repository is missing"},
		"init without a target":  {[]string{"init"}, cli.ExitUsage, "--dir"},
		"init of a bad node":     {[]string{"init", "--dir", "x", "--node", "NODE"}, cli.ExitUsage, "--node"},
		"bad prefix":             {[]string{"status", "--nats", "nats://127.0.0.1:1", "--prefix", "a.b"}, cli.ExitUsage, "a.b"},
		"install of no role":     {[]string{"install"}, cli.ExitUsage, "--role is missing"},
		"unknown role, mistyped": {[]string{"install", "--role", "bilder"}, cli.ExitUsage, `did you mean "builder"?`},
		"unknown role, shown":    {[]string{"install", "--role", "x", "--dry-run"}, cli.ExitUsage, "name producer, builder, controller, distributor, statuses or console"},
		"unknown role of doctor": {[]string{"doctor", "cook"}, cli.ExitUsage, "cook"},
		"nothing runs here":      {[]string{"status"}, cli.ExitFailed, "Run 'fenceline up' in this folder"},
		"no NATS":                {[]string{"status", "--nats", "nats://127.0.0.1:1"}, cli.ExitFailed, "127.0.0.1:1"},
		"no pipeline file":       {[]string{"up", "--config", "none.yaml"}, cli.ExitFailed, "none.yaml"},
		"no password file":       {[]string{"status", "--nats", "nats://127.0.0.1:1", "--password-file", "none"}, cli.ExitFailed, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			s := fenceline(t, test.args...)
			if s.status != test.status {
				t.Errorf("status %d, want %d", s.status, test.status)
			}
			if s.out != "" {
				t.Errorf("stdout, which is for results, has %q", s.out)
			}
			if !strings.Contains(s.err, test.says) {
				t.Errorf("it says %q, without %q", s.err, test.says)
			}
			if hint := strings.Contains(s.err, "--help'"); hint != (test.status == cli.ExitUsage) {
				t.Errorf("it says %q", s.err)
			}
		})
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !strings.Contains(c.Example, "fenceline") {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Short == "" || c.Parent() != nil && c.Parent().Parent() == nil && c.GroupID == "" {
			t.Errorf("%s has no description or group", c.CommandPath())
		}
		for _, shown := range exampleLines(c) {
			if err := known(strings.Fields(shown)); err != nil {
				t.Errorf("the help of %s shows 'fenceline %s': %v", c.CommandPath(), shown, err)
			}
		}
		if _, flag, ok := strings.Cut(c.Long, "as a variable: --"); ok && c.Flags().Lookup(strings.Fields(flag)[0]) == nil {
			t.Errorf("the help of %s names a flag that it hasn't: %s", c.CommandPath(), flag)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(wholeRoot())
}

// wholeRoot has also those commands that are added when a line is carried out: help and completion.
func wholeRoot() *cobra.Command {
	root := newRoot()
	cli.Execute(context.Background(), root, []string{"--version"}, strings.NewReader(""), io.Discard, io.Discard)
	return root
}

// exampleLines are the command lines of fenceline in a command's examples.
func exampleLines(c *cobra.Command) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
		if shown, ok := strings.CutPrefix(strings.TrimSpace(line), "fenceline "); ok {
			out = append(out, shown)
		}
	}
	return out
}

func TestHelpAndCompletion(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"run"}, {"nodes", "--help"}, {"config"}, {"help", "up"}} {
		if out := done(t, args...); !strings.Contains(out, "Usage:") || !strings.Contains(out, "Examples:") {
			t.Errorf("fenceline %v prints %q", args, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := done(t, "completion", shell); !strings.Contains(out, "fenceline") {
			t.Errorf("no completion script for %s", shell)
		}
	}
	if out := done(t, "--version"); !strings.HasPrefix(out, "fenceline ") {
		t.Errorf("the version is %q", out)
	}
}
