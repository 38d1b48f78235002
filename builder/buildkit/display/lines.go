package display

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// wholeCharacters is a terminal that is written to by a program that cuts text between bytes, and takes each character for one
// column wide.
type wholeCharacters struct{ *os.File }

// Write writes p with what is left of a character that was cut made visible, and its lines as wide as they were meant to be.
func (w wholeCharacters) Write(p []byte) (int, error) {
	columns, _, err := term.GetSize(int(w.Fd()))
	if err != nil {
		columns = 0
	}
	var out strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(p), "…")) {
		out.WriteString(inColumns(line, columns))
	}
	if _, err := io.WriteString(w.File, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
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
