package terminal

import (
	"io"
	"os"
)

// Writer passes on text with what a terminal would obey made visible. Only newlines and tabs
// pass as they are.
type Writer struct {
	to      io.Writer
	columns int // of the terminal behind it, 0 where there is none
}

var _ io.Writer = (*Writer)(nil)

// New is a filter before w. It asks once how wide the terminal is, where w is one.
func New(w io.Writer) *Writer {
	return &Writer{to: w, columns: columnsOf(w, os.Getenv("COLUMNS"))}
}

// Write passes on p. A character is not split between two calls.
func (w *Writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, filtered(string(p), "\t")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Behind is what is behind the filter, for who filters values and writes escape codes of its own;
// and whether that is a terminal.
func Behind(w io.Writer) (io.Writer, bool) {
	f, ok := w.(*Writer)
	if !ok {
		return w, columnsOf(w, "") > 0
	}
	return f.to, f.columns > 0
}

// Colours tells whether a terminal is to be written to in colours, by what the environment says:
// NO_COLOR set to anything (https://no-color.org), or a terminal that knows none.
func Colours() bool {
	term := os.Getenv("TERM")
	return os.Getenv("NO_COLOR") == "" && term != "dumb" && term != ""
}
