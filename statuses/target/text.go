package target

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/fenceline/fenceline/terminal"
)

// Text is text as a forge takes it: one line, with nothing in it that can't be seen, and no longer than the forge
// allows. Forges escape what HTML is made of.
func (f Forge) Text(s string) string { return clip(oneLine(s), f.MostText()) }

// Name is the name of a status as a forge takes it. Of one that is too long it is the beginning, and a hash that
// keeps it from being another's.
func (f Forge) Name(s string) string {
	most := f.mostName()
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return string([]rune(s)[:most-9]) + "-" + hex.EncodeToString(sum[:4])
}

// oneLine makes one line of text, and visible what is not.
func oneLine(s string) string {
	return terminal.Visible(strings.Join(strings.Fields(s), " "))
}

// clip is at most so many characters of s. What is cut off ends with a mark.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "…"
}
