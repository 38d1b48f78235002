// Command kato stands in for Stackato's kato where there is no Stackato: it does what the cluster's admin
// guide and command reference say of the commands that Fenceline's users meet, on a JSON file instead of
// the cluster's store, and nothing else.
//
//	kato config get [-j] [COMPONENT [KEY-PATH]]
//	kato config set [-j] [--force] COMPONENT KEY-PATH [VALUE]
//	kato config del COMPONENT KEY-PATH
//	kato node list [-j]
//
// The file is KATO_FILE, or kato.json beside the program. It holds {"config": {COMPONENT: document},
// "nodes": {ADDRESS: [ROLE]}}. As with the real one, nothing keeps two writers apart.
//
// What is documented: the output is YAML, with -j JSON. `set` prints what it set, and without -j guesses the
// value's type and warns that it did; a value of another type than the one that is there needs --force; without a
// VALUE it is read from standard input. What no document says is chosen here: the words of errors, that
// they go to standard error with status 1, the warning's stream (standard error, or with KATO_WARN=stdout the
// other), and the form of `node list`.
//
// The files, in reading order:
//
//	main.go    the words of the command line
//	config.go  the values of a component
//	store.go   the file
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, warnings()); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		os.Exit(1)
	}
}

// warnings is where they go.
func warnings() io.Writer {
	if os.Getenv("KATO_WARN") == "stdout" {
		return os.Stdout
	}
	return os.Stderr
}

const usage = "usage: kato config get|set|del [-j] [--force] COMPONENT KEY-PATH [VALUE], or kato node list [-j]"

func run(args []string, in io.Reader, out, warn io.Writer) error {
	asJSON, args := option(args, "-j", "--json")
	force, args := option(args, "--force")
	if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") }); i >= 0 && i < 4 {
		return fmt.Errorf("unknown option %s: %s", args[i], usage)
	}
	args = append(args, "", "", "", "", "") // words that may be left out
	command, component, key, value := args[0]+" "+args[1], args[2], args[3], args[4]
	s, err := open()
	if err != nil {
		return err
	}
	switch {
	case command == "config get":
		v, err := get(s.Config, component, key)
		if err != nil {
			return err
		}
		return show(out, v, asJSON)
	case command == "config set" && key != "":
		if value == "" {
			read, err := io.ReadAll(in)
			if err != nil {
				return fmt.Errorf("reading the value: %w", err)
			}
			value = strings.TrimSuffix(string(read), "\n")
		}
		v, err := typed(value, asJSON, warn)
		if err != nil {
			return err
		}
		if err := set(s.Config, component, key, v, force); err != nil {
			return err
		}
		if err := s.save(); err != nil {
			return err
		}
		return show(out, v, false) // -j is for the value, then
	case command == "config del" && key != "":
		if err := del(s.Config, component, key); err != nil {
			return err
		}
		return s.save()
	case command == "node list" && asJSON:
		return show(out, s.Nodes, true)
	case command == "node list":
		return listNodes(out, s.Nodes)
	}
	return errors.New(usage)
}

// option takes an option out of the words.
func option(args []string, names ...string) (bool, []string) {
	rest := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return slices.Contains(names, a) })
	return len(rest) < len(args), rest
}

// show prints a value.
func show(out io.Writer, v any, asJSON bool) error {
	if s, ok := v.(string); ok && !asJSON {
		_, err := fmt.Fprintln(out, s)
		return err
	}
	b, err := yaml.Marshal(v)
	if asJSON {
		if b, err = json.MarshalIndent(v, "", "  "); err == nil {
			b = append(b, '\n')
		}
	}
	if err != nil {
		return fmt.Errorf("printing the value: %w", err)
	}
	_, err = out.Write(b)
	return err
}
