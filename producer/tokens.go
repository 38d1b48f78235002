package producer

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Token is what a caller proves who it is by.
type Token struct {
	Name   string // of who has it, as builds and audit events show it
	Secret messages.Secret
}

// checkTokens refuses tokens that don't tell callers apart.
func checkTokens(all []Token) error {
	for i, t := range all {
		if err := messages.CheckName("token", t.Name); err != nil {
			return fmt.Errorf("reading Tokens: %w", err)
		}
		if t.Secret.IsZero() {
			return fmt.Errorf("reading Tokens: token %s is empty", t.Name)
		}
		for _, o := range all[:i] {
			if o.Name == t.Name {
				return fmt.Errorf("reading Tokens: two are called %s: name each after who has it", t.Name)
			}
			if o.Secret.Reveal() == t.Secret.Reveal() {
				return fmt.Errorf("reading Tokens: %s and %s are the same: give each caller one of its own", o.Name, t.Name)
			}
		}
	}
	return nil
}

// errNoTokens tells callers that there are no calls.
var errNoTokens = errors.New("calls are switched off: start the producer with a token file")

// authorise refuses callers without a token, and names the others. Hashes are compared, so that not even a token's length
// shows; and with all of them, so that the time doesn't tell which is near.
func (p *Producer) authorise(r *http.Request) (who string, no *refusal) {
	if len(p.tokens) == 0 {
		return "", refuse(http.StatusForbidden, "%v", errNoTokens)
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || given == "" {
		return "", refuse(http.StatusUnauthorized, "header Authorization is missing or is not Bearer TOKEN")
	}
	have := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, t := range slices.Backward(p.tokens) {
		want := sha256.Sum256([]byte(t.Secret.Reveal()))
		if subtle.ConstantTimeCompare(have[:], want[:]) == 1 {
			who = t.Name
		}
	}
	if who == "" {
		return "", refuse(http.StatusUnauthorized, "the token is wrong: use one of the producer's own (its token file)")
	}
	return who, nil
}
