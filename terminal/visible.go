package terminal

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible is a text with all that a terminal would obey, or that hides or turns what it shows,
// written out: \x1b for control characters, <U+202E> for marks of direction, line separators and all
// else that has no shape, \xff for bytes that are no UTF-8. Newlines stay, also those written as CR LF;
// a tab becomes four spaces.
func Visible(s string) string { return filtered(s, "    ") }

// filtered is Visible with something else in place of tabs.
func filtered(s, tab string) string {
	if !strings.ContainsFunc(s, needsFilter) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\t':
			b.WriteString(tab)
		case r == '\r' && strings.HasPrefix(s[i+n:], "\n"): // the newline follows
		case r == '\r':
			b.WriteString(`\r`)
		case r == utf8.RuneError && n == 1, r < 0x80 && unicode.IsControl(r) && r != '\n':
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case shapeless(r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// needsFilter tells whether filtered changes a text with this rune.
func needsFilter(r rune) bool { return r == utf8.RuneError || shapeless(r) }

// shapeless tells whether a rune has no shape of its own on a terminal: controls, marks of
// direction, separators of lines, and what Unicode has given no meaning.
func shapeless(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }

// VisibleJSON is JSON whose strings write out what Visible would: JSON's own escapes for it, so
// that readers get the same values.
func VisibleJSON(b []byte) []byte {
	if !bytes.ContainsFunc(b, shapeless) {
		return b
	}
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case !shapeless(r):
			out.WriteRune(r)
		case r > 0xFFFF: // as JSON has it, in UTF-16
			high, low := (r-0x10000)>>10, (r-0x10000)&0x3FF
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xD800+high, 0xDC00+low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return []byte(out.String())
}
