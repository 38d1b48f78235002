package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagsWith are the flags of a command once its line, variables and settings were read.
func flagsWith(t *testing.T, command string, line ...string) (*pflag.FlagSet, error) {
	t.Helper()
	cmd, _, err := newRootCmd().Find(strings.Fields(command))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(line); err != nil {
		t.Fatal(err)
	}
	return cmd.Flags(), given(cmd)
}

// TestEverySettingCanBeGivenInAFile sets every flag of every command that has settings.
func TestEverySettingCanBeGivenInAFile(t *testing.T) {
	examples := map[string]struct{ yaml, want string }{
		"string":      {"some-text", "some-text"},
		"NAME":        {"some-name", "some-name"},
		"PREFIX":      {"other", "other"},
		"bool":        {"true", "true"},
		"int":         {"7", "7"},
		"int64":       {"7000000000", "7000000000"},
		"duration":    {"1m30s", "1m30s"},
		"stringSlice": {"[a.example, 'b.example:5000']", "[a.example,b.example:5000]"},
		"NAME=VALUE":  {"{rack: 7, zone: yes}", "rack=7,zone=yes"},
		kindFile:      {"here/file", "/etc/fenceline/here/file"},
		kindFolder:    {"../folder", "/etc/folder"},
		kindProgram:   {"bin/program", "/etc/fenceline/bin/program"},
	}
	for _, command := range []string{"up", "run producer", "run builder", "run controller", "run distributor"} {
		t.Run(command, func(t *testing.T) {
			var content strings.Builder
			want := map[string]string{}
			cmd, _, err := newRootCmd().Find(strings.Fields(command))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range flagsOf(cmd) {
				if name == settingsKey {
					continue
				}
				e, ok := examples[cmd.Flags().Lookup(name).Value.Type()]
				if !ok {
					t.Fatalf("--%s is of a kind that no settings file can have: %s", name, cmd.Flags().Lookup(name).Value.Type())
				}
				fmt.Fprintf(&content, "%s: %s\n", name, e.yaml)
				want[name] = e.want
			}
			found, err := parseSettings("/etc/fenceline/role.yaml", []byte(content.String()), strings.Fields(command)...)
			if err != nil {
				t.Fatal(err)
			}
			found.apply(cmd.Flags())
			for name, value := range want {
				if f := cmd.Flags().Lookup(name); f.Value.String() != value || !f.Changed {
					t.Errorf("%s is %q, want %q", name, f.Value, value)
				}
			}
		})
	}
}

func TestAFlagWinsOverItsVariableAndThatOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "builder.yaml")
	write(t, file, "nats: nats://file:1\nuser: file\nname: file\nslots: 3\n")
	t.Setenv("FENCELINE_SETTINGS", file)
	t.Setenv("FENCELINE_NATS", "nats://variable:1")
	t.Setenv("FENCELINE_USER", "variable")
	flags, err := flagsWith(t, "run builder", "--nats", "nats://flag:1")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"nats": "nats://flag:1", "user": "variable", "name": "file", "slots": "3", "ack-wait": "30s"} {
		if got := flags.Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestSettingsThatCantBeMeant(t *testing.T) {
	for name, test := range map[string]struct {
		command, content string
		says             []string // each is a problem, with its line
	}{
		"an unknown key":             {"run builder", "\nslot: 3\n", []string{`:2: unknown setting "slot", did you mean "slots"?`}},
		"one of another role":        {"run builder", "fleet: production\n", []string{`:1: unknown setting "fleet"`}},
		"one of no command":          {"run builder", "help: true\n", []string{`:1: unknown setting "help"`}},
		"another settings file":      {"run builder", "settings: more.yaml\n", []string{":1: a settings file names no other"}},
		"underscores":                {"run builder", "docker_config: x\n", []string{`did you mean "docker-config"?`}},
		"a key twice":                {"run builder", "slots: 1\nuser: a\nslots: 2\n", []string{":3: slots: is given twice"}},
		"a text for a number":        {"run builder", "slots: many\n", []string{`:1: slots: the text "many" where a whole number was expected`}},
		"too large a number":         {"run builder", "slots: 99999999999999999999\n", []string{":1: slots: "}},
		"a number for a text":        {"run builder", "user: 7\n", []string{":1: user: the number 7 where text was expected: put it in quotes"}},
		"a number for a duration":    {"run builder", "ack-wait: 30\n", []string{`:1: ack-wait: "30" is not a duration: write it as 90s`}},
		"a text for a truth":         {"run builder", "verbose: loud\n", []string{`:1: verbose: the text "loud" where true or false was expected`}},
		"a list for a text":          {"run builder", "nats: [a, b]\n", []string{":1: nats: a list where text was expected"}},
		"a text for a list":          {"run builder", "registry-plain-http: registry:5000\n", []string{":1: registry-plain-http: a single value where a list was expected"}},
		"a list for a map":           {"run distributor", "label: [rack=a]\n", []string{":1: label: a list where fields were expected"}},
		"a label's name":             {"run distributor", "label: {a=b: c}\n", []string{`:1: label: "a=b" is not the name of a label`}},
		"a label that is a map":      {"run distributor", "label:\n  rack: {a: b}\n", []string{":2: label.rack: a mapping where text was expected"}},
		"no value":                   {"run builder", "buildkit:\n", []string{":1: buildkit: has no value"}},
		"no value for a path":        {"run builder", "docker-config:\n", []string{":1: docker-config: has no value"}},
		"what the flag refuses":      {"run distributor", "node: Node_1\nprefix: a.b\n", []string{`:1: node: node name "Node_1"`, ":2: prefix: "}},
		"no mapping":                 {"run builder", "- slots\n", []string{":1: a list where fields were expected"}},
		"not YAML":                   {"run builder", "slots: [\n", []string{"is not YAML"}},
		"two documents":              {"run builder", "slots: 1\n---\nslots: 2\n", []string{"a second YAML document"}},
		"not text":                   {"run builder", "slots: \x00\n", []string{":1: has the control character"}},
		"several at once, in order":  {"run builder", "slot: 3\nslots: many\nack-wait: soon\n", []string{":1: ", ":2: ", ":3: "}},
		"a password":                 {"run builder", "password: hunter2\n", []string{`:1: "password" has no place here`, "name that with password-file"}},
		"a token":                    {"run producer", "api_token: hunter2\n", []string{"name that with token-file"}},
		"a key":                      {"run builder", "key: |\n  hunter2\n", []string{"name that with key-file"}},
		"secrets":                    {"run builder", "secrets: {a: hunter2}\n", []string{"name that with secrets-dir"}},
		"a token where there's none": {"run builder", "token: hunter2\n", []string{`unknown setting "token"`}},
		"a number for a path":        {"run builder", "password-file: 4711\n", []string{":1: password-file: the name of a file or folder was expected"}},
		"a password in the address":  {"run builder", "nats: nats://ann:hunter2@core:4222\n", []string{":1: nats: has a user or password in the address", "password-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "role.yaml")
			write(t, file, test.content)
			_, err := flagsWith(t, test.command, "--settings", file)
			var invalid *yamlfile.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("it says %v", err)
			}
			if said := strings.ReplaceAll(err.Error(), file, ""); strings.Contains(said, "hunter2") || strings.Contains(said, "4711") {
				t.Errorf("it shows what may be a secret: %s", said)
			}
			for _, say := range test.says {
				if !strings.Contains(err.Error(), say) || !strings.HasPrefix(err.Error(), file) {
					t.Errorf("it says, without %q:\n%v", say, err)
				}
			}
		})
	}
}

// TestAnOverriddenSettingIsCheckedToo: the next start may come without the flag.
func TestAnOverriddenSettingIsCheckedToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "builder.yaml")
	write(t, file, "slots: many\n")
	if _, err := flagsWith(t, "run builder", "--settings", file, "--slots", "2"); err == nil || !strings.Contains(err.Error(), file+":1: slots: ") {
		t.Errorf("it says %v", err)
	}
}

func TestSettingsFilesThatSayNothing(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "", "comments alone": "# slots: 3\n", "an empty document": "---\n...\n", "null": "~\n"} {
		file := filepath.Join(dir, name)
		write(t, file, content)
		if flags, err := flagsWith(t, "run builder", "--settings", file); err != nil || flags.Lookup("slots").Value.String() != "1" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, path := range map[string]string{"no file": filepath.Join(dir, "none"), "a folder": dir} {
		if _, err := flagsWith(t, "run builder", "--settings", path); err == nil || !strings.Contains(err.Error(), "--settings") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPathsInASettingsFileCountFromItsFolder(t *testing.T) {
	for name, test := range map[string]struct{ kind, path, want string }{
		"a file":                  {kindFile, "x", "/etc/fenceline/x"},
		"an absolute one":         {kindFile, "/x", "/x"},
		"none":                    {kindFile, "", ""},
		"a program's path":        {kindProgram, "./x", "/etc/fenceline/x"},
		"a program to look for":   {kindProgram, "buildkitd", "buildkitd"},
		"an address of a program": {kindProgram, "unix:///run/x.sock", "unix:///run/x.sock"},
	} {
		if got := (pathFlag{kind: test.kind}).from("/etc/fenceline", test.path); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestARoleRunsFromItsSettings starts a role that is told nothing else, and has doctor look at
// the machine by the same file.
func TestARoleRunsFromItsSettings(t *testing.T) {
	s := queuetest.Start(t)
	s.Client(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "controller.yaml")
	write(t, file, "nats: "+s.URL()+"\nname: c1\nhealth-listen: 127.0.0.1:0\n")
	_, stop := start(t, `"running"`, "run", "controller", "--settings", file)
	if status := stop(); status != exitDone {
		t.Errorf("it ended with %d", status)
	}
	done(t, "doctor", "controller", "--settings", file)
	broken := filepath.Join(dir, "builder.yaml")
	write(t, broken, "nats: "+s.URL()+"\nbuildkit: unix:///none.sock\nslots: x\n")
	if got := fenceline(t, "doctor", "builder", "--settings", broken); got.status != exitFailed || !strings.Contains(got.err, broken+":3: slots: ") {
		t.Errorf("a broken file: %+v", got)
	}
	write(t, broken, "nats: "+s.URL()+"\nbuildkit: unix:///none.sock\ndocker-config: missing\n")
	if got := fenceline(t, "doctor", "builder", "--settings", broken); got.status != exitFailed || !strings.Contains(got.out, filepath.Join(dir, "missing")) {
		t.Errorf("logins that are missing: %+v", got)
	}
	up := filepath.Join(dir, "up.yaml")
	write(t, up, "state: there\n")
	if got := fenceline(t, "doctor", "--settings", up); got.status != exitFailed || !strings.Contains(got.out, filepath.Join(dir, "there")) {
		t.Errorf("an up that isn't there: %+v", got)
	}
}

func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		"", "nats: nats://core:4222\nuser: b\nslots: 2\n", "label: {a: b}\nnode: n\nmin-free-bytes: 1\n", "registry-plain-http: [a:1]\nack-wait: 1m\n",
		"a: &x [*x]\n", "label: {<<: *x}\n", "---\n---\n", "\ufeff# x", "slots: !!str 1\nverbose: !!bool x\n", "password: x\npassword-file: [1]\n",
	} {
		for i := range roles() {
			f.Add(seed, i)
		}
	}
	f.Fuzz(func(t *testing.T, content string, role int) {
		of := []string{"run", roles()[(role%4+4)%4]}
		found, err := parseSettings("/etc/fenceline/role.yaml", []byte(content), of...)
		var invalid *yamlfile.InvalidError
		if err != nil && !errors.As(err, &invalid) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		// What was let pass, flags take.
		cmd, _, err := newRootCmd().Find(of)
		if err != nil {
			t.Fatal(err)
		}
		found.apply(cmd.Flags())
		checkApplied(t, cmd, found)
	})
}

func checkApplied(t *testing.T, cmd *cobra.Command, found settings) {
	t.Helper()
	var names []string
	for _, s := range found {
		if !cmd.Flags().Lookup(s.name).Changed {
			t.Errorf("%s was not taken: %+v", s.name, s)
		}
		names = append(names, s.name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("some are there twice: %v", names)
	}
}
