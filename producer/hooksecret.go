package producer

import (
	"fmt"
	"io"
	"os"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standardwebhooks"
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

// guessable is the length below which a secret can be guessed.
const guessable = standardwebhooks.Guessable

// shortest is the length of the shortest of its keys.
func (s *hookSecret) shortest() int {
	least := len(s.keys[0].text)
	for _, k := range s.keys {
		least = min(least, len(k.text))
	}
	return least
}

// newHookSecret makes a secret of a file's content: a key on each line.
func newHookSecret(content messages.Secret) (*hookSecret, error) {
	secrets, err := standardwebhooks.Secrets(content)
	if err != nil {
		return nil, err
	}
	s := &hookSecret{}
	for _, one := range secrets {
		key, err := standardwebhooks.Key(one)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, &hookKey{text: []byte(one.Reveal()), key: key})
	}
	return s, nil
}

// unknownSecret is a secret that nobody has.
func unknownSecret() *hookSecret {
	random := []byte(messages.NewID() + messages.NewID())
	return &hookSecret{keys: []*hookKey{{text: random, key: random}}}
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
