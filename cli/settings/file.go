package settings

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// A settings file is a flat YAML mapping whose keys are the flags of one role.

// FileFlag is the flag that names the file. It is no setting itself.
const FileFlag = "settings"

// AddFile adds the flag that names the file.
func AddFile(fs *pflag.FlagSet) {
	FileVar(fs, new(string), FileFlag, "", "file with settings, by the names of the flags")
	Explain(fs, FileFlag, "It is no setting itself.")
}

// Flags is the set of a role's flags, or that of Everything: what its settings file may have.
func Flags(role string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(role, pflag.ContinueOnError)
	switch role {
	case RoleProducer:
		new(RunProducer).Add(fs)
	case RoleBuilder:
		new(RunBuilder).Add(fs)
	case RoleController:
		new(RunController).Add(fs)
	case RoleDistributor:
		new(RunDistributor).Add(fs)
	case RoleStatuses:
		new(RunStatuses).Add(fs)
	case RoleConsole:
		new(RunConsole).Add(fs)
	case Everything:
		new(Up).Add(fs)
	}
	return fs
}

// commandOf is the command that runs a role, as words after "fenceline".
func commandOf(role string) string {
	if role == Everything {
		return role
	}
	return "run " + role
}

// Complete gives a role's flags that are not on the line their variable's value, or else the
// file's.
func Complete(fs *pflag.FlagSet, role string) error {
	err := FromEnvironment(fs)
	found, unread := ReadFile(fs, role)
	found.Apply(fs)
	return errors.Join(err, unread)
}

// ReadFile reads the file that a flag or variable names, if any, as the settings of a role.
func ReadFile(fs *pflag.FlagSet, role string) (File, error) {
	path := fs.Lookup(FileFlag).Value.String()
	if path == "" {
		return nil, nil
	}
	content, err := yamlfile.Content(path, "settings file")
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", FileFlag, err)
	}
	return Parse(path, content, role)
}

// File is what a settings file says, each setting checked by the flag of its name.
type File []setting

// setting is a key and its value, which is a text, a list or pairs, as its flag is.
type setting struct {
	name  string
	text  string
	list  []string
	pairs Labels
}

func (s setting) set(f *pflag.Flag) error {
	switch to := f.Value.(type) {
	case Labels:
		maps.Copy(to, s.pairs)
		return nil
	case pflag.SliceValue:
		return to.Replace(s.list)
	}
	return f.Value.Set(s.text)
}

// Apply sets those flags that are not set already. None refuses what Parse let pass.
func (f File) Apply(fs *pflag.FlagSet) {
	for _, one := range f {
		if to := fs.Lookup(one.name); to != nil && !to.Changed {
			to.Changed = one.set(to) == nil
		}
	}
}

// Text is a setting's value, or "" where the file is silent about it.
func (f File) Text(name string) string {
	for _, one := range f {
		if one.name == name {
			return one.text
		}
	}
	return ""
}

// Parse reads the content of a role's settings file. Its problems are a *yamlfile.InvalidError.
func Parse(path string, content []byte, role string) (File, error) {
	// Flags that nothing else uses take the values first, so that all that is wrong is found,
	// whatever lines and variables say.
	r := &settingsReader{Reader: yamlfile.Reader{File: path}, flags: Flags(role), command: commandOf(role)}
	if root := r.Document(content, ""); root != nil && root.Tag != "!!null" {
		r.Pairs(root, "", r.pair)
	}
	return r.found, r.Err()
}

type settingsReader struct {
	yamlfile.Reader
	flags   *pflag.FlagSet
	command string
	found   File
}

func (r *settingsReader) pair(name string, k, v *yaml.Node) {
	f := r.flags.Lookup(name)
	if f == nil || name == FileFlag {
		r.Problem(k, "", "%s", r.unknown(name))
		return
	}
	found, ok := r.value(f, v)
	if !ok {
		return
	}
	if err := found.set(f); err != nil {
		r.Problem(v, name, "%v", err)
		return
	}
	r.found = append(r.found, found)
}

// known are the keys that there are.
func (r *settingsReader) known() []string {
	var out []string
	r.flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != FileFlag {
			out = append(out, f.Name)
		}
	})
	return out
}

// secretWords are words for a secret itself, and the setting that names its file.
var secretWords = map[string]string{
	"password": "password-file", "passwd": "password-file", "pass": "password-file",
	"token": "token-file", "api-token": "token-file",
	"credentials": "credentials-file", "creds": "credentials-file",
	"key": "key-file", "private-key": "key-file", "cert": "cert-file", "certificate": "cert-file", "ca": "ca-file",
	"secret": "secrets-dir", "secrets": "secrets-dir",
}

// unknown says what to write in place of a key that is none, without its value: that may be a secret.
func (r *settingsReader) unknown(name string) string {
	known := r.known()
	if name == FileFlag {
		return "a settings file names no other: write the settings here"
	}
	if file := secretWords[strings.ReplaceAll(strings.ToLower(name), "_", "-")]; slices.Contains(known, file) {
		return fmt.Sprintf("%q has no place here: settings may be read by others; put it into a file and name that with %s", yamlfile.Clip(name), file)
	}
	return fmt.Sprintf("unknown setting %q%s: 'fenceline %s --help' lists them, without the hyphens",
		yamlfile.Clip(name), suggest.DidYouMean(name, known), r.command)
}

// value reads what a flag of f's kind takes; it is false after a problem.
func (r *settingsReader) value(f *pflag.Flag, v *yaml.Node) (setting, bool) {
	before := len(r.Problems)
	s := setting{name: f.Name}
	switch kind := f.Value.Type(); kind {
	case "bool":
		s.text = r.scalar(v, f.Name, "true or false", isBool, "!!bool")
	case "int", "int64":
		s.text = r.scalar(v, f.Name, "a whole number", isNumber, "!!int")
	case "duration":
		s.text = r.scalar(v, f.Name, "a duration such as 90s or 10m", isDuration, "!!str", "!!int", "!!float")
	case "stringSlice", kindHost, kindProtocol, kindBlock, kindGroup, kindScope:
		s.list = r.list(v, f.Name)
	case Labels{}.Type():
		s.pairs = r.labels(v, f.Name)
	case kindMode:
		s.text = r.scalar(v, f.Name, "a mode such as 0660", new(SocketMode).Set, "!!str", "!!int")
	case kindFile, kindFolder, kindProgram:
		s.text = r.path(v, f)
	default:
		s.text = r.scalar(v, f.Name, "text", plainly(f.Name), "!!str")
	}
	return s, len(r.Problems) == before && !r.Stopped()
}

func isBool(s string) error {
	if s = strings.ToLower(s); s != "true" && s != "false" {
		return errors.New("is neither true nor false")
	}
	return nil
}

func isNumber(s string) error {
	if _, err := strconv.ParseInt(s, 0, 64); err != nil {
		return fmt.Errorf("%s is not a whole number that can be held", yamlfile.Clip(s))
	}
	return nil
}

func isDuration(s string) error {
	if _, err := parseSpan(s); err != nil {
		return fmt.Errorf("%q is not a duration: write it as 90s, 10m, 1h30m or 7d", yamlfile.Clip(s))
	}
	return nil
}

// plainly refuses a password in an address, where others may read it.
func plainly(name string) func(string) error {
	return func(s string) error {
		if name == "nats" && strings.Contains(s, "@") {
			return errors.New("has a user or password in the address, which others may read here: write the address without, and give user and password-file")
		}
		return nil
	}
}

// scalar reads a single value that check doesn't refuse.
func (r *settingsReader) scalar(v *yaml.Node, name, want string, check func(string) error, tags ...string) string {
	n, ok := r.Scalar(v, name, want, tags...)
	if !ok {
		return ""
	}
	if err := check(n.Value); err != nil {
		r.Problem(v, name, "%v", err)
	}
	return n.Value
}

// path reads a path, which counts from the settings file's folder.
func (r *settingsReader) path(v *yaml.Node, f *pflag.Flag) string {
	const want = "the name of a file or folder"
	if n := r.Node(v, f.Name); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!str" && n.Tag != "!!null" {
		r.Problem(v, f.Name, "%s was expected: put it in quotes if it is one", want) // it may be the secret itself
		return ""
	}
	n, ok := r.Scalar(v, f.Name, want, "!!str")
	if !ok {
		return ""
	}
	return f.Value.(pathFlag).from(filepath.Dir(r.File), n.Value)
}

// list reads a flag that may be given several times.
func (r *settingsReader) list(v *yaml.Node, name string) []string {
	var out []string
	r.List(v, name, func(n *yaml.Node, field string) {
		if item, ok := r.Scalar(n, field, "text", "!!str"); ok {
			out = append(out, item.Value)
		}
	})
	return out
}

// labels reads names and values. Values are taken as they are written, whatever YAML makes of
// 1.0 or yes.
func (r *settingsReader) labels(v *yaml.Node, name string) Labels {
	out := Labels{}
	r.Pairs(v, name, func(label string, k, v *yaml.Node) {
		if label == "" || strings.ContainsAny(label, "=,") {
			r.Problem(k, name, "%q is not the name of a label: leave = and , out", yamlfile.Clip(label))
			return
		}
		if n, ok := r.Scalar(v, yamlfile.Join(name, label), "text", "!!str", "!!int", "!!float", "!!bool", "!!timestamp"); ok {
			out[label] = n.Value
		}
	})
	return out
}
