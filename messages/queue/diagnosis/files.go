package diagnosis

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Check reads the files that a connection needs, so that what is wrong with one is not taken
// for an outage. Its errors are a *FieldError.
func (w Way) Check(now time.Time) error {
	if w.CredentialsFile != "" {
		if err := checkCredentials(w.CredentialsFile, now); err != nil {
			return &FieldError{[]string{FieldCredentialsFile}, fmt.Errorf("the credentials file %s: %w", w.CredentialsFile, err)}
		}
	}
	if w.CAFile != "" {
		if err := checkCA(w.CAFile, now); err != nil {
			return &FieldError{[]string{FieldCAFile}, fmt.Errorf("the CA file %s: %w", w.CAFile, err)}
		}
	}
	return w.checkClientCertificate(now)
}

// checkCredentials does with a credentials file what connecting with it does.
func checkCredentials(path string, now time.Time) error {
	if err := checkFile(path); err != nil {
		return err
	}
	var read nats.Options
	if err := nats.UserCredentials(path)(&read); err != nil {
		return err
	}
	jwt, err := read.UserJWT()
	if err == nil && (strings.Count(jwt, ".") != 2 || strings.ContainsAny(jwt, " \t\r\n")) {
		err = errors.New("it has no user JWT")
	}
	if err == nil {
		if late := checkTime(expiryOf(jwt), now); late != nil {
			return late
		}
		_, err = read.SignatureCB([]byte("a nonce"))
	}
	if err != nil {
		return fmt.Errorf("%w: give a .creds file, as nsc writes it", err)
	}
	return nil
}

func checkCA(path string, now time.Time) error {
	content, err := readFile(path)
	if err != nil {
		return err
	}
	return checkAuthorities(content, now)
}

// readFile reads a file, and says what is wrong with it without its content.
func readFile(path string) ([]byte, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// checkFile refuses what can't be read as a file.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return errors.New("it is a folder: give the file in it")
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			err = f.Close()
		}
	}
	var failed *os.PathError
	if errors.As(err, &failed) { // its path is named already
		err = failed.Err
	}
	if err != nil {
		return fmt.Errorf("%w: check the path and its permissions", err)
	}
	return nil
}
