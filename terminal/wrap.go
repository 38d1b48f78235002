package terminal

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"
	"golang.org/x/sys/unix"
)

// cut stands where something was left out.
const cut = "…"

// columnsOf is how wide the terminal w is: as COLUMNS says, or it itself. 0 where w is none. It
// takes narrower ones for leastWidth wide.
func columnsOf(w io.Writer, columns string) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if n, err := strconv.Atoi(columns); err == nil && n > 0 {
		return max(n, leastWidth)
	}
	if size.Col == 0 { // one that doesn't say, such as a serial line
		return usualWidth
	}
	return max(int(size.Col), leastWidth)
}

// usualWidth is that of a terminal that says nothing.
const usualWidth = 80

// width is how many columns a text takes. It has no control characters.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += displaywidth.Rune(r) // terminals differ in what they draw as one: a character by itself is none's less
	}
	return n
}

// digest is a whole one in an image's name.
var digest = regexp.MustCompile(`(@sha256:[0-9a-f]{12})[0-9a-f]{52}\b`)

// wrapped breaks a text into lines: the first as wide as first, the others as further, at most so
// many where most is not 0. It breaks at spaces, and words where they are wider than a line. An image
// that is wider loses the end of its digest first. Where first is not more than 0 it breaks nothing.
func wrapped(s string, first, further, most int) []string {
	if first <= 0 || further <= 0 || width(s) <= first {
		return []string{s}
	}
	var lines []string
	line, room := "", first
	end := func() { lines, line, room = append(lines, strings.TrimRight(line, " ")), "", further }
	for _, word := range strings.SplitAfter(s, " ") {
		if width(strings.TrimRight(word, " ")) > further {
			word = digest.ReplaceAllString(word, "$1"+cut)
		}
		if line != "" && width(line)+width(strings.TrimRight(word, " ")) > room {
			end()
		}
		for width(strings.TrimRight(word, " ")) > room {
			var head string
			head, word = split(word, room)
			line = head
			end()
		}
		line += word
	}
	if strings.TrimRight(line, " ") != "" {
		end()
	}
	if most > 0 && len(lines) > most {
		lines = lines[:most]
		head, _ := split(lines[most-1], further-1)
		lines[most-1] = head + cut
	}
	return lines
}

// split takes from a text as much as fits, one character at least.
func split(s string, room int) (head, rest string) {
	n := 0
	for i, r := range s {
		if n += displaywidth.Rune(r); n > room && i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
