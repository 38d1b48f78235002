package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/pflag"
)

// format is how a command prints what it found.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// String is the format, table by default.
func (f *format) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

// Set takes the flag's value.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatJSON:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("%q is neither table nor json", s)
}

// Type names the flag's value in help.
func (f *format) Type() string { return "format" }

func (f *format) flag(fs *pflag.FlagSet) {
	fs.VarP(f, "output", "o", "output format: table or json")
}

// print writes v as JSON, or has text write it for people.
func (s *session) print(v any, text func(p *terminal.Page)) error {
	if s.format == formatJSON {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		return s.json(b)
	}
	p := terminal.NewPage(s.out)
	text(p)
	return p.Flush()
}

// printLine writes v as a line of JSON, of many that come one after the other.
func (s *session) printLine(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.json(b)
}

func (s *session) json(b []byte) error {
	_, err := s.out.Write(append(terminal.VisibleJSON(b), '\n'))
	return err
}

// decided tells what a decision did.
func (s *session) decided(v any, line string, a ...any) error {
	s.done = true
	return s.print(v, func(p *terminal.Page) { p.Line(line, a...) })
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
