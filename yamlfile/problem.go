package yamlfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something wrong with a file: where, what, and how to mend it.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; 0 when it is about the whole file
	// Column is where in the line, from 1, in characters; 0 when it is about the whole line.
	Column int    `json:"column,omitempty"`
	Field  string `json:"field,omitempty"`
	Text   string `json:"text"` // the value, what is wrong with it and the fix
	// Absent tells that the file is right but names another that is not on this machine, as
	// a secret is only where the producer runs.
	Absent bool `json:"absent,omitempty"`
}

// String is FILE:LINE: FIELD: TEXT.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	return b.String() + ": " + p.Said()
}

// Said is FIELD: TEXT, or the text of a problem that is about no field.
func (p Problem) Said() string {
	if p.Field == "" {
		return p.Text
	}
	return p.Field + ": " + p.Text
}

// InvalidError is returned for a file that can't be used. It has every problem
// that was found, in the order of the file.
type InvalidError struct{ Problems []Problem }

// Error has a line for each problem.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is an *InvalidError with the problems in the order of the file, or nil where there are none.
func (r *Reader) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	found := slices.Clone(r.Problems)
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	if len(found) >= MaxProblems {
		found = append(found, Problem{File: r.File, Text: "the rest of the file was not read: mend these first"})
	}
	return &InvalidError{Problems: found}
}
