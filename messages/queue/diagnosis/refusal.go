package diagnosis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// IsRefusal tells whether the server refuses the user.
func IsRefusal(err error) bool {
	for _, e := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// IsCrowded tells whether the server has as many connections as it takes, which passes.
func IsCrowded(err error) bool {
	return errors.Is(err, nats.ErrMaxAccountConnectionsExceeded) || errors.Is(err, nats.ErrMaxConnectionsExceeded) ||
		err != nil && strings.Contains(strings.ToLower(err.Error()), nats.MAX_CONNECTIONS_ERR) // of a first connection, which has no type
}

// refusal is what mends that the server refuses the user.
func (w Way) refusal(err error) Finding {
	f := Finding{Class: Refused}
	switch {
	case w.CredentialsFile != "" && (errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAccountAuthExpired)):
		f.Fix, f.Fields = w.Who()+" has expired: put new credentials into the file", []string{FieldCredentialsFile}
	case w.CredentialsFile != "":
		f.Fix, f.Fields = fmt.Sprintf("check %s and whether the server's operator has revoked it", w.Who()), []string{FieldCredentialsFile}
	case w.User == "":
		f.Fix, f.Fields = "the server wants a user: give one with its password, or a credentials file", []string{FieldUser, FieldPassword, FieldCredentialsFile}
	default:
		f.Fix, f.Fields = fmt.Sprintf("check the user %q and its password", w.User), []string{FieldUser, FieldPassword}
	}
	return f
}
