package producer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// hookSecret is a webhook's secret. It has no printable form: fmt shows a fixed word.
type hookSecret struct {
	text []byte // as forges use it
	key  []byte // as Standard Webhooks uses it: what follows whsec_, decoded, else text
}

// Format hides the secret from every verb.
func (*hookSecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// standardPrefix marks base64 secrets in the Standard Webhooks specification.
const standardPrefix = "whsec_"

// newHookSecret makes a secret of a file's content.
func newHookSecret(content messages.Secret) (*hookSecret, error) {
	word, err := content.Word()
	if err != nil {
		return nil, err
	}
	text := word.Reveal()
	s := &hookSecret{text: []byte(text), key: []byte(text)}
	if encoded, ok := strings.CutPrefix(text, standardPrefix); ok {
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
