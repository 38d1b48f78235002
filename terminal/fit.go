package terminal

import (
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Fit is a text as one line that is so many columns wide, with what a terminal would obey made visible: what is longer is
// cut, and what is shorter filled up with spaces.
func Fit(s string, columns int) string {
	s = strings.ReplaceAll(Visible(s), "\n", " ")
	if width(s) > columns && columns > 0 {
		s, _ = split(s, columns-1)
		if width(s) >= columns { // one wide character
			s = ""
		}
		s += cut
	}
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

// further leads what a line goes on with, so that nothing in it can pass for a line of ours.
const further = "      "

// Lines is a text as lines that are so many columns wide at most, with what a terminal would obey made visible: nothing is cut.
func Lines(s string, columns int) []string {
	lines := wrapped(strings.ReplaceAll(Visible(s), "\n", " "), columns, max(columns-len(further), 1), 0)
	for i := range lines[1:] {
		lines[i+1] = further + lines[i+1]
	}
	return lines
}

// End is the end of a text, as much as so many columns hold, with what a terminal would obey made visible.
func End(s string, columns int) string {
	s = strings.ReplaceAll(Visible(s), "\n", " ")
	for over := width(s) - columns; s != "" && (over > 0 || displaywidth.Rune(first(s)) == 0); s = s[utf8.RuneLen(first(s)):] {
		over -= displaywidth.Rune(first(s)) // and the marks on what goes go with it
	}
	return s
}

func first(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
