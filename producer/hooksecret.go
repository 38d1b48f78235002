package producer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/fenceline/fenceline/messages"
)

// hookSecret is the secret of webhooks: one key or, while a new one takes the place of an older, several.
// It has no printable form: fmt shows a fixed word.
type hookSecret struct{ keys []*hookKey }

// hookKey is what one webhook is signed with.
type hookKey struct {
	text []byte // as forges use it
	key  []byte // as Standard Webhooks uses it: what follows whsec_, decoded, else text
}

// Format hides the secret from every verb.
func (*hookSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// Format hides the key from every verb.
func (*hookKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

const (
	// guessable is the length below which a secret can be guessed.
	guessable = 16
	// maxKeys bounds how many keys a webhook is tried with.
	maxKeys = 8
)

// shortest is the length of the shortest of its keys.
func (s *hookSecret) shortest() int {
	least := len(s.keys[0].text)
	for _, k := range s.keys {
		least = min(least, len(k.text))
	}
	return least
}

// standardPrefix marks base64 secrets in the Standard Webhooks specification.
const standardPrefix = "whsec_"

// newHookSecret makes a secret of a file's content: a key on each line. A file of several lines that was not
// meant to be one, such as a certificate, would make keys of what everybody knows: each line has to look like a key.
func newHookSecret(content messages.Secret) (*hookSecret, error) {
	lines := []string{content.Reveal()}
	if !strings.Contains(lines[0], "\x00") { // in UTF-16 there are no lines
		lines = slices.DeleteFunc(strings.Split(lines[0], "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	}
	if len(lines) > maxKeys {
		return nil, fmt.Errorf("has several lines, %d: it may hold %d secrets at most, one a line: remove those that no webhook is signed with any more", len(lines), maxKeys)
	}
	if len(lines) == 0 {
		return nil, errors.New("is empty: put the secret into it")
	}
	s := &hookSecret{}
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if len(lines) > 1 && (len(line) < guessable || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "---") || strings.ContainsFunc(line, unicode.IsSpace)) {
			return nil, fmt.Errorf("has several lines, of which line %d is no secret: write one secret a line and nothing else, each of at least %d characters and without spaces", i+1, guessable)
		}
		k, err := newHookKey(messages.NewSecret(line))
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// newHookKey makes a key of a line.
func newHookKey(content messages.Secret) (*hookKey, error) {
	word, err := content.Word()
	if err != nil {
		return nil, err
	}
	text := word.Reveal()
	k := &hookKey{text: []byte(text), key: []byte(text)}
	if encoded, ok := strings.CutPrefix(text, standardPrefix); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return nil, errors.New("begins with whsec_, but base64 does not follow: copy it again")
		}
		k.key = key
	}
	return k, nil
}

// readSecretFile reads a secret and tells whether every user of the machine may.
func readSecretFile(path string) (s *hookSecret, exposed bool, err error) {
	content, err := messages.ReadSecret(path)
	if err != nil {
		return nil, false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	s, err = newHookSecret(content)
	return s, info.Mode().Perm()&0o004 != 0, err
}
