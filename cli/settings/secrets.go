package settings

import (
	"errors"
	"fmt"
	"os"

	"github.com/fenceline/fenceline/messages"
)

// ReadSecret reads a password or token from its file; white space at its ends is not part of it.
func ReadSecret(path string) (messages.Secret, error) {
	s, err := messages.ReadSecret(path)
	if err != nil {
		return s, err
	}
	if s, err = s.Word(); err != nil {
		err = fmt.Errorf("reading a secret: %s %w", path, err)
	}
	return s, err
}

// ReadPassword reads the file of --password-file, if there is one.
func ReadPassword(path string) (messages.Secret, error) {
	if path == "" {
		return messages.Secret{}, nil
	}
	s, err := ReadSecret(path)
	var at *os.PathError
	switch {
	case errors.As(err, &at):
		err = fmt.Errorf("--password-file %s: %w: check the path and that this user may read it", path, at.Err)
	case err != nil:
		err = fmt.Errorf("--password-file: %w", err)
	}
	return s, err
}
