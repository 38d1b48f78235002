package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/fenceline/fenceline/messages"
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

// print writes v as JSON, or has table write it for people.
func (s *session) print(v any, table func(w io.Writer)) error {
	if s.format == formatJSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// head writes a table's header.
func head(w io.Writer, names ...string) { fmt.Fprintln(w, strings.Join(names, "\t")) }

// row writes the cells of a table's row. What is not known is a dash, orders included;
// the last cell may be empty. A cell is one line, and nothing that a terminal obeys.
func row(w io.Writer, cells ...any) {
	out := make([]string, len(cells))
	for i, c := range cells {
		if out[i] = printable(strings.ReplaceAll(fmt.Sprint(c), "\n", "; ")); c == uint64(0) || out[i] == "" && i < len(cells)-1 {
			out[i] = "-"
		}
	}
	fmt.Fprintln(w, strings.Join(out, "\t"))
}

// printable is text of unknown origin with what a terminal would obey written as Go does.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// decided tells what a decision did.
func (s *session) decided(v any, line string, a ...any) error {
	return s.print(v, func(w io.Writer) { fmt.Fprintf(w, line+"\n", a...) })
}

// short is an image for a table: its name and the first digits of its digest.
func short(i messages.Image) string {
	if i == "" {
		return ""
	}
	return i.Name() + "@" + shortDigest(i.Digest())
}

func shortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(12, len(d))]
}

func shortCommit(c string) string { return c[:min(12, len(c))] }

// ago is how long ago t was, for people.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// size is a number of bytes, for people, in powers of ten as registries count.
func size(n int64) string {
	switch {
	case n < 0:
		return "unknown"
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// counted is a number of things, in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
