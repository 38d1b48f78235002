package settings

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/spf13/pflag"
)

// names lists flags, sorted.
func names(fs *pflag.FlagSet) []string {
	var out []string
	fs.VisitAll(func(f *pflag.Flag) { out = append(out, f.Name) })
	return out
}

// flagsWith are the flags of a role once its line, variables and settings were read.
func flagsWith(t *testing.T, role string, line ...string) (*pflag.FlagSet, error) {
	t.Helper()
	fs := Flags(role)
	if err := fs.Parse(line); err != nil {
		t.Fatal(err)
	}
	return fs, Complete(fs, role)
}

// TestEverySettingCanBeGivenInAFile sets every flag of every command that has settings.
func TestEverySettingCanBeGivenInAFile(t *testing.T) {
	examples := map[string]struct{ yaml, want string }{
		"string":      {"some-text", "some-text"},
		"NAME":        {"some-name", "some-name"},
		"PREFIX":      {"other", "other"},
		kindMode:      {"0620", "0620"},
		"KIND":        {"exec", "exec"},
		"bool":        {"true", "true"},
		"int":         {"7", "7"},
		"int64":       {"7000000000", "7000000000"},
		"duration":    {"1m30s", "1m30s"},
		"stringSlice": {"[a.example, 'b.example:5000']", "[a.example,b.example:5000]"},
		kindHost:      {"[git.example.com, '*.example.org']", "git.example.com,*.example.org"},
		kindProtocol:  {"[https]", "https"},
		kindBlock:     {"[10.0.0.0/8, 'fd00::/8']", "10.0.0.0/8,fd00::/8"},
		kindGroup:     {"[ops, on-call]", "ops,on-call"},
		kindScope:     {"[openid, email]", "openid,email"},
		"NAME=VALUE":  {"{rack: 7, zone: yes}", "rack=7,zone=yes"},
		kindFile:      {"here/file", "/etc/fenceline/here/file"},
		kindFolder:    {"../folder", "/etc/folder"},
		kindProgram:   {"bin/program", "/etc/fenceline/bin/program"},
	}
	for _, role := range append(Roles(), Everything) {
		t.Run(role, func(t *testing.T) {
			var content strings.Builder
			want := map[string]string{}
			fs := Flags(role)
			for _, name := range names(fs) {
				if name == FileFlag {
					continue
				}
				e, ok := examples[fs.Lookup(name).Value.Type()]
				if !ok {
					t.Fatalf("--%s is of a kind that no settings file can have: %s", name, fs.Lookup(name).Value.Type())
				}
				fmt.Fprintf(&content, "%s: %s\n", name, e.yaml)
				want[name] = e.want
			}
			found, err := Parse("/etc/fenceline/role.yaml", []byte(content.String()), role)
			if err != nil {
				t.Fatal(err)
			}
			found.Apply(fs)
			for name, value := range want {
				if f := fs.Lookup(name); f.Value.String() != value || !f.Changed {
					t.Errorf("%s is %q, want %q", name, f.Value, value)
				}
			}
		})
	}
}

func TestAFlagWinsOverItsVariableAndThatOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "builder.yaml")
	clitest.Write(t, file, "nats: nats://file:1\nuser: file\nname: file\nslots: 3\n")
	t.Setenv("FENCELINE_SETTINGS", file)
	t.Setenv("FENCELINE_NATS", "nats://variable:1")
	t.Setenv("FENCELINE_USER", "variable")
	flags, err := flagsWith(t, "builder", "--nats", "nats://flag:1")
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
		role, content string
		says          []string // each is a problem, with its line
	}{
		"an unknown key":             {"builder", "\nslot: 3\n", []string{`:2: unknown setting "slot", did you mean "slots"?`}},
		"one of another role":        {"builder", "fleet: production\n", []string{`:1: unknown setting "fleet"`}},
		"one of no command":          {"builder", "help: true\n", []string{`:1: unknown setting "help"`}},
		"another settings file":      {"builder", "settings: more.yaml\n", []string{":1: a settings file names no other"}},
		"underscores":                {"builder", "docker_config: x\n", []string{`did you mean "docker-config"?`}},
		"a key twice":                {"builder", "slots: 1\nuser: a\nslots: 2\n", []string{":3: slots: is given twice"}},
		"a text for a number":        {"builder", "slots: many\n", []string{`:1: slots: the text "many" where a whole number was expected`}},
		"too large a number":         {"builder", "slots: 99999999999999999999\n", []string{":1: slots: "}},
		"a number for a text":        {"builder", "user: 7\n", []string{":1: user: the number 7 where text was expected: put it in quotes"}},
		"a number for a duration":    {"builder", "ack-wait: 30\n", []string{`:1: ack-wait: "30" is not a duration: write it as 90s`}},
		"a text for a truth":         {"builder", "verbose: loud\n", []string{`:1: verbose: the text "loud" where true or false was expected`}},
		"a list for a text":          {"builder", "nats: [a, b]\n", []string{":1: nats: a list where text was expected"}},
		"a text for a list":          {"builder", "registry-plain-http: registry:5000\n", []string{":1: registry-plain-http: a single value where a list was expected"}},
		"a list for a map":           {"distributor", "label: [rack=a]\n", []string{":1: label: a list where fields were expected"}},
		"a label's name":             {"distributor", "label: {a=b: c}\n", []string{`:1: label: "a=b" is not the name of a label`}},
		"a label that is a map":      {"distributor", "label:\n  rack: {a: b}\n", []string{":2: label.rack: a mapping where text was expected"}},
		"no value":                   {"builder", "buildkit:\n", []string{":1: buildkit: has no value"}},
		"no value for a path":        {"builder", "docker-config:\n", []string{":1: docker-config: has no value"}},
		"what the flag refuses":      {"distributor", "node: Node_1\nprefix: a.b\n", []string{`:1: node: node name "Node_1"`, ":2: prefix: "}},
		"no mapping":                 {"builder", "- slots\n", []string{":1: a list where fields were expected"}},
		"not YAML":                   {"builder", "slots: [\n", []string{"is not YAML"}},
		"two documents":              {"builder", "slots: 1\n---\nslots: 2\n", []string{"a second YAML document"}},
		"not text":                   {"builder", "slots: \x00\n", []string{":1: has the control character"}},
		"several at once, in order":  {"builder", "slot: 3\nslots: many\nack-wait: soon\n", []string{":1: ", ":2: ", ":3: "}},
		"a password":                 {"builder", "password: hunter2\n", []string{`:1: "password" has no place here`, "name that with password-file"}},
		"a token":                    {"producer", "api_token: hunter2\n", []string{"name that with token-file"}},
		"a key":                      {"builder", "key: |\n  hunter2\n", []string{"name that with key-file"}},
		"secrets":                    {"builder", "secrets: {a: hunter2}\n", []string{"name that with secrets-dir"}},
		"a token where there's none": {"builder", "token: hunter2\n", []string{`unknown setting "token"`}},
		"a number for a path":        {"builder", "password-file: 4711\n", []string{":1: password-file: the name of a file or folder was expected"}},
		"a password in the address":  {"builder", "nats: nats://ann:hunter2@core:4222\n", []string{":1: nats: has a user or password in the address", "password-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "role.yaml")
			clitest.Write(t, file, test.content)
			_, err := flagsWith(t, test.role, "--settings", file)
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
	clitest.Write(t, file, "slots: many\n")
	if _, err := flagsWith(t, "builder", "--settings", file, "--slots", "2"); err == nil || !strings.Contains(err.Error(), file+":1: slots: ") {
		t.Errorf("it says %v", err)
	}
}

func TestSettingsFilesThatSayNothing(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "", "comments alone": "# slots: 3\n", "an empty document": "---\n...\n", "null": "~\n"} {
		file := filepath.Join(dir, name)
		clitest.Write(t, file, content)
		if flags, err := flagsWith(t, "builder", "--settings", file); err != nil || flags.Lookup("slots").Value.String() != "1" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, path := range map[string]string{"no file": filepath.Join(dir, "none"), "a folder": dir} {
		if _, err := flagsWith(t, "builder", "--settings", path); err == nil || !strings.Contains(err.Error(), "--settings") || !strings.Contains(err.Error(), path) {
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

func FuzzSettings(f *testing.F) {
	for _, seed := range []string{
		"", "nats: nats://core:4222\nuser: b\nslots: 2\n", "label: {a: b}\nnode: n\nmin-free-bytes: 1\n", "registry-plain-http: [a:1]\nack-wait: 1m\n",
		"a: &x [*x]\n", "label: {<<: *x}\n", "---\n---\n", "\ufeff# x", "slots: !!str 1\nverbose: !!bool x\n", "password: x\npassword-file: [1]\n",
	} {
		for i := range Roles() {
			f.Add(seed, i)
		}
	}
	f.Fuzz(func(t *testing.T, content string, role int) {
		of := Roles()[(role%4+4)%4]
		found, err := Parse("/etc/fenceline/role.yaml", []byte(content), of)
		var invalid *yamlfile.InvalidError
		if err != nil && !errors.As(err, &invalid) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		// What was let pass, flags take.
		fs := Flags(of)
		found.Apply(fs)
		checkApplied(t, fs, found)
	})
}

func checkApplied(t *testing.T, fs *pflag.FlagSet, found File) {
	t.Helper()
	var names []string
	for _, s := range found {
		if !fs.Lookup(s.name).Changed {
			t.Errorf("%s was not taken: %+v", s.name, s)
		}
		names = append(names, s.name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("some are there twice: %v", names)
	}
}
