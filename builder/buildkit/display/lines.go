package display

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// wholeCharacters is a terminal that is written to by a program that cuts text between bytes, takes each character for one
// column wide, and looks at the terminal's size only when the log goes on.
type wholeCharacters struct {
	*os.File
	resized       chan struct{} // has one when the terminal has become another size
	columns, rows int           // of the last write; zero before
}

// Write writes p with what is left of a character that was cut made visible, and its lines as wide as they were meant to be.
func (w *wholeCharacters) Write(p []byte) (int, error) {
	columns, rows, err := term.GetSize(int(w.Fd()))
	if err != nil {
		columns, rows = 0, 0
	}
	if w.columns != 0 && (columns != w.columns || rows != w.rows) {
		select {
		case w.resized <- struct{}{}:
		default: // that is to be told already
		}
	}
	w.columns, w.rows = columns, rows
	var out strings.Builder
	for line := range strings.Lines(whole(string(p))) {
		line = inColumns(line, columns)
		if text, end := strings.CutSuffix(line, "\n"); end && ansi.StringWidthWc(text) < columns {
			line = text + ansi.EraseLineRight + "\n" // the program leaves the last column as it was
		}
		out.WriteString(line)
	}
	if _, err := io.WriteString(w.File, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// whole is a text with … in place of what is left of a character that was cut, and a space for each further byte of it: the
// program counted each of these bytes as one column.
func whole(s string) string {
	var out strings.Builder
	cut := false
	for i, r := range s {
		broken := false
		if r == utf8.RuneError {
			_, size := utf8.DecodeRuneInString(s[i:])
			broken = size == 1
		}
		switch {
		case !broken:
			out.WriteRune(r)
		case cut:
			out.WriteByte(' ')
		default:
			out.WriteString("…")
		}
		cut = broken
	}
	return out.String()
}

// inColumns is a line whose longest gap makes up for characters that are wider than one column, or take none, and that is cut
// where it is wider than a terminal of so many columns, if that is known.
func inColumns(line string, columns int) string {
	text, end := strings.CutSuffix(line, "\n")
	shown := ansi.Strip(text)
	extra := ansi.StringWidthWc(text) - utf8.RuneCountInString(shown)
	if extra != 0 {
		at, long := gap(text)
		if extra > 0 && long > 1 {
			text = text[:at] + text[at+min(extra, long-1):]
		} else if extra < 0 && long > 1 {
			text = text[:at] + strings.Repeat(" ", -extra) + text[at:]
		}
	}
	if columns > 0 && ansi.StringWidthWc(text) > columns {
		text = ansi.TruncateWc(text, columns, "…")
	}
	if end {
		text += "\n"
	}
	return text
}

// gap is where the longest row of spaces of a text begins, the last of those that are as long, and how long it is.
func gap(text string) (at, long int) {
	for i := 0; i < len(text); i++ {
		n := 0
		for i+n < len(text) && text[i+n] == ' ' {
			n++
		}
		if n >= long && n > 0 {
			at, long = i, n
		}
		i += n
	}
	return at, long
}
