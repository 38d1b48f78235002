package messages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSecretBytes is the most that BuildKit takes as a secret.
const maxSecretBytes = 500 << 10

// ReadSecret reads a file that holds a secret and nothing else, byte by byte as it is.
// Errors show the path alone.
func ReadSecret(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading a secret: %w", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return Secret{}, fmt.Errorf("reading a secret: %w", err)
	}
	s := NewSecret(string(content))
	switch {
	case len(content) > maxSecretBytes:
		return Secret{}, fmt.Errorf("reading a secret: %s has more than %d bytes: it must hold the secret alone", path, maxSecretBytes)
	case s.Trimmed().IsZero():
		return Secret{}, fmt.Errorf("reading a secret: %s is empty: put the secret into it", path)
	}
	return s, nil
}

// NamedSecret reads the secret that a pipeline names: the file of that name in a folder.
func NamedSecret(folder, name string) (Secret, error) {
	if folder == "" {
		return Secret{}, errors.New("there is no folder of secrets")
	}
	if err := CheckSecretName(name); err != nil {
		return Secret{}, err
	}
	return ReadSecret(filepath.Join(folder, name))
}

// Trimmed is the secret without the white space at its ends, such as the newline that
// editors add.
func (s Secret) Trimmed() Secret { return NewSecret(strings.TrimSpace(s.Reveal())) }

var (
	// assignmentForm is a line of a file of variables, by a name that is written in capitals or tells of a secret.
	assignmentForm = regexp.MustCompile(`^(?:export\s+|set\s+|\$env:)?(?:[A-Z][A-Z0-9_]{2,}\s*=|(?i:[a-z0-9_-]*(?:secret|token|passw|api_?key|hook)[a-z0-9_-]*)\s*(?:=|:\s))\s*[^=\s]`)
	// quotes are what shells and editors put around text.
	quotes = []string{`"`, `'`, "`", "“”", "‘’"}
)

// Word is the secret for one who compares it with what people gave elsewhere, such as a token, a
// password or a webhook's secret: without the white space at its ends. It refuses what is in a file
// besides the secret by mistake, and could never match. Its errors don't show the secret.
func (s Secret) Word() (Secret, error) {
	word := s.Trimmed()
	text := word.Reveal()
	switch {
	case strings.Contains(text, "\x00"):
		return Secret{}, errors.New("is in UTF-16, as some Windows programs write: save it as plain text (ASCII, or UTF-8 without a byte order mark)")
	case strings.HasPrefix(text, "\ufeff"), strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return Secret{}, errors.New("begins with a byte order mark, which would be part of the secret: save it as plain text (ASCII, or UTF-8 without a byte order mark)")
	case strings.ContainsAny(text, "\r\n"):
		return Secret{}, errors.New("has several lines: it must hold the secret alone")
	case !utf8.ValidString(text):
		return Secret{}, errors.New("is not UTF-8: save it as plain text")
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return Secret{}, errors.New("has a control character or one that can't be seen: write it anew, with the secret alone")
	case quoted(text):
		return Secret{}, errors.New("has quotes around the secret, which would be part of it: remove them")
	case assignmentForm.MatchString(text):
		return Secret{}, errors.New("has a name before the secret, as in NAME=VALUE: it must hold the value alone")
	}
	return word, nil
}

// quoted tells whether a text stands in quotes.
func quoted(text string) bool {
	return slices.ContainsFunc(quotes, func(q string) bool {
		open, first := utf8.DecodeRuneInString(q)
		end, last := utf8.DecodeLastRuneInString(q)
		return len(text) > first+last && strings.HasPrefix(text, string(open)) && strings.HasSuffix(text, string(end))
	})
}
