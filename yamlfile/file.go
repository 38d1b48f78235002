package yamlfile

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxFileBytes is the most that a file may hold.
const maxFileBytes = 1 << 20

// Content reads a file, which errors call what.
func Content(path, what string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w: name an existing file", what, err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the %s %s: %w", what, path, err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("reading the %s %s: it has more than %d bytes: is it the right file?", what, path, maxFileBytes)
	}
	return content, nil
}

// Err is an *InvalidError with the problems in the order of the file, or nil where there are none.
func (r *Reader) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	found := slices.Clone(r.Problems)
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	if len(found) >= MaxProblems {
		found = append(found, Problem{File: r.File, Text: "the rest of the file was not read: mend these first"})
	}
	return &InvalidError{Problems: found}
}
