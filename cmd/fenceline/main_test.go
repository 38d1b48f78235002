package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/spf13/cobra"
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
	if os.Getenv(stateVar) == "" {
		t.Setenv(stateVar, t.TempDir()) // where nothing has run
	}
	var out, err bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(in), &out, &err)
	return said{out.String(), err.String(), status}
}

// installation is a NATS server with declared streams, which commands in this test find.
func installation(t *testing.T) *queue.Client {
	t.Helper()
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	return s.Client(t)
}

// done fails the test unless a command line ended well, and returns its output.
func done(t *testing.T, args ...string) string {
	t.Helper()
	s := fenceline(t, args...)
	if s.status != exitDone || s.err != "" {
		t.Fatalf("fenceline %s: status %d, %s", strings.Join(args, " "), s.status, s.err)
	}
	return s.out
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: 'go test ./cmd/fenceline -update' writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\nand this is\n%s", path, want, got)
	}
}

func TestStatusOfMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"unknown command":        {[]string{"rolback"}, exitUsage, "did you mean rollback?"},
		"unknown subcommand":     {[]string{"nodes", "retier", "x"}, exitUsage, "retire"},
		"unknown role":           {[]string{"run", "cook"}, exitUsage, "cook"},
		"unknown flag":           {[]string{"up", "--listn", "x"}, exitUsage, "did you mean --listen?"},
		"unlike any flag":        {[]string{"up", "--zzzzzzzz"}, exitUsage, "unknown flag: --zzzzzzzz\n"},
		"unknown short flag":     {[]string{"up", "-Z"}, exitUsage, "'Z'"},
		"help on no command":     {[]string{"help", "rolback"}, exitUsage, "did you mean rollback?"},
		"an unknown shell":       {[]string{"completion", "tcsh"}, exitUsage, "tcsh"},
		"completion of more":     {[]string{"completion", "bash", "x"}, exitUsage, "1 arguments given"},
		"a flag's bad value":     {[]string{"run", "builder", "--slots", "many"}, exitUsage, "many"},
		"unknown format":         {[]string{"status", "-o", "xml"}, exitUsage, "neither table nor json"},
		"missing argument":       {[]string{"cancel"}, exitUsage, "cancel BUILD"},
		"too many arguments":     {[]string{"rollback", "a", "b"}, exitUsage, "rollback [FLEET]"},
		"missing flag":           {[]string{"run", "builder"}, exitUsage, "--nats is missing (or $FENCELINE_NATS, or nats in the file of --settings)"},
		"missing flag of notify": {[]string{"notify", "--url", "http://x"}, exitUsage, "--repository is missing"},
		"init without a target":  {[]string{"init"}, exitUsage, "--dir"},
		"init of a bad node":     {[]string{"init", "--dir", "x", "--node", "NODE"}, exitUsage, "--node"},
		"bad prefix":             {[]string{"status", "--nats", "nats://127.0.0.1:1", "--prefix", "a.b"}, exitUsage, "a.b"},
		"unknown role of doctor": {[]string{"doctor", "cook"}, exitUsage, "cook"},
		"nothing runs here":      {[]string{"status"}, exitFailed, "Run 'fenceline up' in this folder"},
		"no NATS":                {[]string{"status", "--nats", "nats://127.0.0.1:1"}, exitFailed, "127.0.0.1:1"},
		"no pipeline file":       {[]string{"up", "--config", "none.yaml"}, exitFailed, "none.yaml"},
		"no password file":       {[]string{"status", "--nats", "nats://127.0.0.1:1", "--password-file", "none"}, exitFailed, "none"},
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
			if hint := strings.Contains(s.err, "--help'"); hint != (test.status == exitUsage) {
				t.Errorf("it says %q", s.err)
			}
		})
	}
}

func TestVariablesStandForFlags(t *testing.T) {
	client := installation(t) // $FENCELINE_NATS
	t.Setenv("FENCELINE_OUTPUT", "json")
	if out := done(t, "builds"); out != "[]\n" {
		t.Errorf("with $FENCELINE_OUTPUT=json it prints %q", out)
	}
	if out := done(t, "builds", "-o", "table"); strings.HasPrefix(out, "[") {
		t.Errorf("the flag doesn't go before the variable: %q", out)
	}
	t.Setenv("FENCELINE_PIPELINE", "other") // what a command does is on its line alone
	create(t, store.Builds(client), "base-aaaaaaaa", messages.BuildRecord{BuildRef: messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base", Order: 1}, State: messages.BuildStateRunning})
	if out := done(t, "builds"); !strings.Contains(out, "base-aaaaaaaa") {
		t.Errorf("a variable chose the builds: %q", out)
	}
	t.Setenv("FENCELINE_OUTPUT", "xml")
	if s := fenceline(t, "builds"); s.status != exitUsage || !strings.Contains(s.err, "$FENCELINE_OUTPUT") {
		t.Errorf("a bad variable: status %d, %q", s.status, s.err)
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
	root := newRootCmd()
	addCompletion(root)
	walk(root)
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

func TestHostLabel(t *testing.T) {
	if l := hostLabel(); l == "" || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		t.Errorf("this machine's label is %q", l)
	}
}
