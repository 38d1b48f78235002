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
// a tab becomes four spaces. Of marks over a character only the first few pass, which can't reach other lines; what only
// asks for another picture of the character before it (U+FE0F, U+FE0E, tones of skin) goes, as terminals differ in how wide that is.
func Visible(s string) string { return filtered(s, "    ") }

// filtered is Visible with something else in place of tabs.
func filtered(s, tab string) string {
	if !strings.ContainsFunc(s, needsFilter) {
		return s
	}
	var b strings.Builder
	marks := marksMost // none stands before a character
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		mark := unicode.In(r, unicode.Mn, unicode.Me)
		switch {
		case mark:
			marks++
		case r == '\n':
			marks = marksMost
		default:
			marks = 0
		}
		switch {
		case r == textual || r == pictorial || toned(r):
		case r == '\t':
			b.WriteString(tab)
		case r == '\r' && strings.HasPrefix(s[i+n:], "\n"): // the newline follows
		case r == '\r':
			b.WriteString(`\r`)
		case r == utf8.RuneError && n == 1, r < 0x80 && unicode.IsControl(r) && r != '\n':
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case shapeless(r), unseen(r), mark && marks > marksMost:
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

const (
	// marksMost is how many marks a character may have over and below it: more than any script has.
	marksMost = 8
	// textual and pictorial ask for the one or the other shape of the character before them.
	textual, pictorial = '\uFE0E', '\uFE0F'
)

// toned tells whether a rune asks for a tone of skin in the picture before it.
func toned(r rune) bool { return r >= 0x1F3FB && r <= 0x1F3FF }

// unseen tells whether a rune is a letter or mark that shows nothing: one of Unicode's default ignorable code points that are graphic.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// needsFilter tells whether filtered may change a text with this rune.
func needsFilter(r rune) bool {
	return r == utf8.RuneError || shapeless(r) || toned(r) || r >= 0x300 && (unicode.In(r, unicode.Mn, unicode.Me) || unseen(r))
}

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
