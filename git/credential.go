package git

import (
	"encoding/base64"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Credential is the basic credential of a repository's token, in base64. A token may be written as USER:TOKEN
// where the forge wants a user, as Bitbucket Cloud does. Else the user is x-access-token, as BuildKit has it:
// GitHub wants that one, and most others take any.
func Credential(token messages.Secret) string {
	pair := token.Reveal()
	if !strings.Contains(pair, ":") {
		pair = "x-access-token:" + pair
	}
	return base64.StdEncoding.EncodeToString([]byte(pair))
}

// Password is a token without the user that may be before it.
func Password(token messages.Secret) string {
	if _, password, ok := strings.Cut(token.Reveal(), ":"); ok {
		return password
	}
	return token.Reveal()
}
