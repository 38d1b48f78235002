package diagnosis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// Way is how a client comes to a server, and as whom.
type Way struct {
	Server          string // the address for people, without userinfo
	User            string
	CredentialsFile string
	CAFile          string
	CertFile        string
	KeyFile         string
}

// The fields that an error can name: those of Way, and others of whoever connects.
const (
	FieldUser            = "User"
	FieldPassword        = "Password"
	FieldCredentialsFile = "CredentialsFile"
	FieldCAFile          = "CAFile"
	FieldCertFile        = "CertFile"
	FieldKeyFile         = "KeyFile"
)

// FieldError is an error that setting some fields otherwise can mend.
type FieldError struct {
	Fields []string // their names, as Way and the options of a connection have them
	Err    error
}

// Error is Err's text.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Class tells what a failed connection is, for whoever decides whether to try again.
type Class int

// The classes.
const (
	Unreachable Class = iota // trying again can help
	Refused                  // the server does not let the user in
	Unusable                 // address, certificate or TLS: trying again doesn't help
)

// Finding is why a connection failed and what mends it.
type Finding struct {
	Class  Class
	Fix    string
	Fields []string // that the fix is about
	Hidden bool     // the error's own text may hold a password and must not be shown
}

// Explain tells what err, with which connecting failed, means.
func (w Way) Explain(err error) Finding {
	var name *net.DNSError
	var port *net.AddrError
	var address *url.Error
	switch {
	case errors.As(err, &address): // its text may hold a password, or a part of one
		return Finding{Class: Unusable, Hidden: true,
			Fix: "the address can't be read: write it as nats://HOST:PORT, with user and password in options of their own"}
	case errors.As(err, &name): // it may be known later
		return Finding{Fix: "check the host's name and that it is known here"}
	case errors.As(err, &port):
		return Finding{Class: Unusable, Fix: "write the address as nats://HOST:PORT, with a port from 1 to 65535"}
	case IsCrowded(err):
		return Finding{Fix: "raise the limit (max_connections of the server, or of the user's account), or end what need not be connected"}
	case IsRefusal(err):
		return w.refusal(err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return Finding{Class: Unusable, Fields: []string{FieldCAFile, FieldCertFile},
			Fix: "the server has no TLS: write nats:// and give neither a CA file nor a certificate, or switch TLS on there"}
	case wantsCertificate(err):
		return w.certificate("")
	case IsTLS(err):
		return w.tls(err)
	case errors.Is(err, nats.ErrTLS) && strings.Contains(err.Error(), "after TLS handshake"): // the alert that says why can be lost on the way
		return w.certificate("look at the server's log; most likely ")
	}
	return Finding{Fix: "check the address and that the server runs"}
}

// Who is the user that a connection is made as, for people.
func (w Way) Who() string {
	switch {
	case w.CredentialsFile != "":
		return "the user of the credentials file " + w.CredentialsFile
	case w.User != "":
		return fmt.Sprintf("the user %q", w.User)
	}
	return "no user"
}

// Redact hides what may be userinfo in a comma-separated list of URLs.
func Redact(urls string) string {
	list := strings.Split(urls, ",")
	for i, u := range list {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			scheme, rest = "nats", u
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = rest[at+1:]
		}
		list[i] = scheme + "://" + rest
	}
	return strings.Join(list, ",")
}
