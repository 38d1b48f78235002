package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Update is a package that an upgrade of the image would change.
type Update struct {
	Name string
	Old  string // version in the image; "" where that is not said, or it is not there
	New  string // version that there is; "" where it would be removed
}

// String is NAME OLD -> NEW.
func (u Update) String() string {
	switch {
	case u.New == "":
		return u.Name + " is removed"
	case u.Old == "":
		return u.Name + " " + u.New
	}
	return u.Name + " " + u.Old + " -> " + u.New
}

// shown is how many updates Say names.
const shown = 5

// Say says which packages have updates, in a line for people.
func Say(updates []Update) string {
	names := make([]string, 0, shown)
	for _, u := range updates[:min(shown, len(updates))] {
		names = append(names, u.String())
	}
	text := fmt.Sprintf("%d packages have updates: ", len(updates))
	if len(updates) == 1 {
		text = "1 package has an update: "
	}
	text += strings.Join(names, ", ")
	if more := len(updates) - shown; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// Digest is the same of two lists that have the same updates; "" for none.
func Digest(updates []Update) string {
	if len(updates) == 0 {
		return ""
	}
	lines := make([]string, len(updates))
	for i, u := range updates {
		lines[i] = fmt.Sprintf("%q %q %q\n", u.Name, u.Old, u.New)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:16])
}

// wordMost bounds, in bytes, what is kept of a name or a version.
const wordMost = 80

// word is a name or a version as a package manager printed it, made harmless.
func word(s string) string { return harmless(s, wordMost) }

// harmless is text with nothing in it but what is printed in ASCII, and no longer than most bytes.
func harmless(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return messages.Shorten(s, most)
}
