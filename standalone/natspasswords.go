package standalone

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"github.com/fenceline/fenceline/messages"
)

// passwordCost is bcrypt's lowest. A hash slows down who guesses; nobody guesses passwords of
// 256 random bits at any speed. It is paid at every connect, by a whole fleet at once when
// NATS comes back: 1 ms here, where the usual cost of 10 takes 60.
const passwordCost = bcrypt.MinCost

// maxPassword is the longest password that bcrypt takes, in bytes.
const maxPassword = 72

// HashPassword is what a NATS server is told of a user's password: it lets in who knows the
// password, and whoever reads the server's configuration or memory does not learn it.
func HashPassword(password messages.Secret) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password.Reveal()), passwordCost)
	if errors.Is(err, bcrypt.ErrPasswordTooLong) {
		return "", fmt.Errorf("the password has more than %d bytes: remove its file for a new one", maxPassword)
	}
	if err != nil {
		return "", fmt.Errorf("hashing the password: %w", err)
	}
	return string(hash), nil
}
