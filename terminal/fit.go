package terminal

import "strings"

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
