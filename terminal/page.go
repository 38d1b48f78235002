package terminal

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Page is text for people that is being written: lines and tables. What goes wrong with writing is
// kept for Flush.
type Page struct {
	out     io.Writer
	columns int // 0 for lines as long as they are
	table   [][]string
	err     error
}

// NewPage writes to w, as wide as the terminal of a Writer; elsewhere nothing is wrapped or cut.
func NewPage(w io.Writer) *Page {
	f, ok := w.(*Writer)
	if !ok {
		f = New(w)
	}
	return &Page{out: f, columns: f.columns}
}

// continued begins a further line of a value: no line of ours begins like this.
const continued = "    | "

// Line writes a line, as fmt.Sprintf formats it. Newlines of the format are lines of ours. Those of a
// value make continuations, which are marked and stand deeper than the line, so that no value can
// pass for one.
func (p *Page) Line(format string, a ...any) {
	p.endTable()
	for i, v := range a {
		a[i] = marked(v)
	}
	for _, line := range strings.Split(fmt.Sprintf(format, a...), "\n") {
		p.line(line)
	}
}

// Continued is a value with what a terminal would obey made visible, and its further lines marked as
// Line does.
func Continued(s string) string { return strings.ReplaceAll(mark(s), newline, "\n"+continued) }

// newline stands for one of a value until its line is written. Nothing visible has it.
const newline = "\x00"

// marked is a value with its newlines marked. What is no text is as it was.
func marked(v any) any {
	switch v.(type) {
	case error, fmt.Stringer:
		return mark(fmt.Sprint(v))
	}
	if r := reflect.ValueOf(v); r.Kind() == reflect.String {
		return mark(r.String())
	}
	return v
}

func mark(s string) string {
	return strings.ReplaceAll(strings.TrimRight(Visible(s), "\n"), "\n", newline)
}

// line writes one line of ours, with the continuations in it.
func (p *Page) line(s string) {
	indent := s[:len(s)-len(strings.TrimLeft(s, " "))]
	for i, part := range strings.Split(s, newline) {
		first, further := indent, indent+"      "
		if i == 0 {
			part = part[len(indent):]
		} else {
			first, further = indent+continued, indent+continued
		}
		for j, piece := range wrapped(part, p.columns-len(first), p.columns-len(further), 0) {
			lead := further
			if j == 0 {
				lead = first
			}
			p.write(strings.TrimRight(lead+piece, " ") + "\n")
		}
	}
}

// Text writes a text of many lines, each led by what is given.
func (p *Page) Text(lead, text string) {
	p.endTable()
	if text == "" {
		return
	}
	room := p.columns - width(lead)
	for _, line := range strings.Split(strings.TrimRight(Visible(text), "\n"), "\n") {
		for _, piece := range wrapped(line, room, room, 0) {
			p.write(strings.TrimRight(lead+piece, " ") + "\n")
		}
	}
}

func (p *Page) write(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.out, s)
	}
}

// Flush writes what is kept back, and tells what went wrong since the page began.
func (p *Page) Flush() error {
	p.endTable()
	return p.err
}

// Line writes one line to w, as Page.Line does.
func Line(w io.Writer, format string, a ...any) error {
	p := NewPage(w)
	p.Line(format, a...)
	return p.Flush()
}
