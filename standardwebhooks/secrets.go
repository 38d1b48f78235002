package standardwebhooks

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/fenceline/fenceline/messages"
)

const (
	// Guessable is the length below which a secret can be guessed.
	Guessable = 16
	// MaxSecrets bounds how many secrets a file may hold.
	MaxSecrets = 8
	// prefix marks secrets in base64.
	prefix = "whsec_"
)

// Secrets are those of a file's content: one or, while a new one takes the place of an older, several, one a line. A file of
// several lines that was not meant to be one, such as a certificate, would make secrets of what everybody knows: each line has to
// look like one.
func Secrets(content messages.Secret) ([]messages.Secret, error) {
	lines := []string{content.Reveal()}
	if !strings.Contains(lines[0], "\x00") { // in UTF-16 there are no lines
		lines = slices.DeleteFunc(strings.Split(lines[0], "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	}
	if len(lines) > MaxSecrets {
		return nil, fmt.Errorf("has several lines, %d: it may hold %d secrets at most, one a line: remove those that no webhook is signed with any more", len(lines), MaxSecrets)
	}
	if len(lines) == 0 {
		return nil, errors.New("is empty: put the secret into it")
	}
	var out []messages.Secret
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if len(lines) > 1 && (len(line) < Guessable || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "---") || strings.ContainsFunc(line, unicode.IsSpace)) {
			return nil, fmt.Errorf("has several lines, of which line %d is no secret: write one secret a line and nothing else, each of at least %d characters and without spaces", i+1, Guessable)
		}
		word, err := messages.NewSecret(line).Word()
		if err != nil {
			return nil, err
		}
		out = append(out, word)
	}
	return out, nil
}

// Key is the key of a secret: what follows whsec_, decoded; of any other secret its own bytes.
func Key(secret messages.Secret) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret.Reveal(), prefix)
	if !ok {
		return []byte(secret.Reveal()), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("begins with whsec_, but base64 does not follow: copy it again")
	}
	return key, nil
}
