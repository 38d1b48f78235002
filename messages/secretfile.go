package messages

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
// editors add: for passwords and tokens, where it can't be part of it.
func (s Secret) Trimmed() Secret { return NewSecret(strings.TrimSpace(s.Reveal())) }
