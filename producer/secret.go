package producer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// hookSecret is a webhook's secret. It has no printable form: fmt shows a fixed word.
type hookSecret struct {
	text []byte // as forges use it
	key  []byte // as Standard Webhooks uses it: what follows whsec_, decoded, else text
}

// Format hides the secret from every verb.
func (*hookSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

const (
	standardPrefix = "whsec_" // of the Standard Webhooks specification, for base64 secrets
	maxSecretBytes = 64 << 10
)

// newHookSecret makes a secret of a file's content, without the line end that editors add.
func newHookSecret(content []byte) (*hookSecret, error) {
	text := bytes.TrimRight(content, "\r\n")
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("is empty: put the webhook's secret into it")
	}
	s := &hookSecret{text: text, key: text}
	if encoded, ok := strings.CutPrefix(string(text), standardPrefix); ok {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return nil, errors.New("begins with whsec_, but base64 does not follow: copy it again")
		}
		s.key = key
	}
	return s, nil
}

// readSecretFile reads a secret and tells whether every user of the machine may.
func readSecretFile(path string) (s *hookSecret, exposed bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("is not a regular file: name a file with the secret alone")
	}
	if info.Size() > maxSecretBytes {
		return nil, false, fmt.Errorf("has %d bytes: it must hold the secret alone", info.Size())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, false, err
	}
	s, err = newHookSecret(content)
	return s, info.Mode().Perm()&0o004 != 0, err
}
