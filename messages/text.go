package messages

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// mark stands where a text was cut.
const mark = "…"

// Shorten is the text, or its first bytes, at most so many, and a mark where it is longer. The mark's
// 3 bytes come on top. It cuts between characters, and returns valid UTF-8: what isn't becomes U+FFFD.
// Shortened again to the same length, a text stays as it is.
func Shorten(text string, most int) string {
	text, most = strings.ToValidUTF8(text, "\uFFFD"), max(most, 0)
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + mark
}

// ShortenHead is Shorten for a text whose end tells most, such as a program's output: it keeps the
// last bytes, and the mark stands before them.
func ShortenHead(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	from := len(text) - max(most, 0)
	if from <= 0 {
		return text
	}
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return mark + text[from:]
}

// ShortenMiddle is Shorten for an error, which begins with what was done and ends with the cause: it keeps both
// ends, and the mark stands between them.
func ShortenMiddle(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	half := max(most-len(mark), 0) / 2
	return strings.TrimSuffix(Shorten(text, half), mark) + ShortenHead(text, half)
}

// clip shortens outside input for an error message.
func clip(s string) string { return Shorten(s, 100) }

// Size is a number of bytes for people; one below 0 is not known.
func Size(n int64) string {
	switch {
	case n < 0:
		return "unknown"
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
