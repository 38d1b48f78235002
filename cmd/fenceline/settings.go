package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// A settings file is a flat YAML mapping whose keys are the flags of one command.

// settingsKey is the flag that names the file. It is no setting itself.
const settingsKey = "settings"

func settingsFlag(fs *pflag.FlagSet) {
	fileVar(fs, new(string), settingsKey, "", "file with settings, by the names of the flags")
	explain(fs, settingsKey, "It is no setting itself.")
}

// given gives the flags that are not on the line their variable's value, or else the file's.
func given(cmd *cobra.Command) error {
	err := fromEnvironment(cmd)
	found, unread := settingsOf(cmd, strings.Fields(cmd.CommandPath())[1:]...)
	found.apply(cmd.Flags())
	return errors.Join(err, unread)
}

// settingsOf reads the file that cmd's flag or variable names, if any, for the command that its
// settings are of, as words after "fenceline".
func settingsOf(cmd *cobra.Command, of ...string) (settings, error) {
	path := cmd.Flags().Lookup(settingsKey).Value.String()
	if path == "" {
		return nil, nil
	}
	content, err := yamlfile.Content(path, "settings file")
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", settingsKey, err)
	}
	return parseSettings(path, content, of...)
}

// settings are what a file says, each checked by the flag of its name.
type settings []setting

// setting is a key and its value, which is a text, a list or pairs, as its flag is.
type setting struct {
	name  string
	text  string
	list  []string
	pairs labels
}

func (s setting) set(f *pflag.Flag) error {
	switch to := f.Value.(type) {
	case labels:
		maps.Copy(to, s.pairs)
		return nil
	case pflag.SliceValue:
		return to.Replace(s.list)
	}
	return f.Value.Set(s.text)
}

// apply sets those flags that are not set already. None refuses what parseSettings let pass.
func (s settings) apply(fs *pflag.FlagSet) {
	for _, one := range s {
		if f := fs.Lookup(one.name); f != nil && !f.Changed {
			f.Changed = one.set(f) == nil
		}
	}
}

// text is a setting's value, or "" where the file is silent about it.
func (s settings) text(name string) string {
	for _, one := range s {
		if one.name == name {
			return one.text
		}
	}
	return ""
}

// parseSettings reads a file for a command. Its problems are a *yamlfile.InvalidError.
func parseSettings(path string, content []byte, of ...string) (settings, error) {
	// Flags of a command that never runs take the values first, so that all that is wrong is
	// found, whatever lines and variables say.
	trial, _, err := newRootCmd().Find(of)
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	r := &settingsReader{Reader: yamlfile.Reader{File: path}, flags: trial.Flags(), command: strings.Join(of, " ")}
	if root := r.Document(content, ""); root != nil && root.Tag != "!!null" {
		r.Pairs(root, "", r.pair)
	}
	return r.found, r.Err()
}

type settingsReader struct {
	yamlfile.Reader
	flags   *pflag.FlagSet
	command string
	found   settings
}

func (r *settingsReader) pair(name string, k, v *yaml.Node) {
	f := r.flags.Lookup(name)
	if f == nil || name == "help" || name == settingsKey {
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
		if f.Name != settingsKey && f.Name != "help" {
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
	if name == settingsKey {
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
	case "stringSlice":
		s.list = r.list(v, f.Name)
	case labels{}.Type():
		s.pairs = r.labels(v, f.Name)
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
	if _, err := time.ParseDuration(s); err != nil {
		return fmt.Errorf("%q is not a duration: write it as 90s, 10m or 1h30m", yamlfile.Clip(s))
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
func (r *settingsReader) labels(v *yaml.Node, name string) labels {
	out := labels{}
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
