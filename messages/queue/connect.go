package queue

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// checkFiles reads the files that a connection needs, so that what is wrong with one is not
// taken for an outage.
func checkFiles(o Options) error {
	if o.CredentialsFile != "" {
		if err := checkCredentials(o.CredentialsFile); err != nil {
			return fmt.Errorf("the credentials file %s (--credentials-file): %w", o.CredentialsFile, err)
		}
	}
	if o.CAFile != "" {
		if err := checkCA(o.CAFile); err != nil {
			return fmt.Errorf("the CA file %s (--ca-file): %w", o.CAFile, err)
		}
	}
	return checkClientCertificate(o.CertFile, o.KeyFile, time.Now())
}

// checkCredentials does with a credentials file what connecting with it does.
func checkCredentials(path string) error {
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
		if late := checkTime(expiryOf(jwt), time.Now()); late != nil {
			return late
		}
		_, err = read.SignatureCB([]byte("a nonce"))
	}
	if err != nil {
		return fmt.Errorf("%w: give a .creds file, as nsc writes it", err)
	}
	return nil
}

func checkCA(path string) error {
	if err := checkFile(path); err != nil {
		return err
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return checkAuthorities(pem, time.Now())
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

// where is the server, for people.
func (o Options) where() string {
	if o.InProcess != nil {
		return "the server in this process"
	}
	return Redact(o.URL)
}

// connectError says why connecting failed and what to do. It has ErrUnavailable where trying
// again can help.
func connectError(o Options, err error) error {
	why, fix := join(ErrUnavailable, err), "check the address and that the server runs"
	var name *net.DNSError
	var port *net.AddrError
	var address *url.Error
	switch {
	case errors.As(err, &address): // its text may hold a password, or a part of one
		return fmt.Errorf("connecting to NATS at %s: the address can't be read: write it as nats://HOST:PORT, with user and password in options of their own", o.where())
	case errors.As(err, &name): // it may be known later
		fix = "check the host's name and that it is known here"
	case errors.As(err, &port):
		why, fix = err, "write the address as nats://HOST:PORT, with a port from 1 to 65535"
	case errors.Is(err, ErrForbidden): // it says what and why
		why, fix = err, "give the credential that belongs to what is started, or the prefix of the inboxes that this one may read (--inbox-prefix)"
	case isCrowded(err):
		fix = "raise the limit (max_connections of the server, or of the user's account), or end what need not be connected"
	case isAuth(err):
		why, fix = &refusedError{err}, authFix(o, err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		why, fix = err, "the server has no TLS: write nats:// and give neither a CA file nor a certificate, or switch TLS on there"
	case isRefusedCertificate(err):
		why, fix = err, certificateFix(o)
	case isTLS(err):
		why, fix = err, tlsFix(o, err)
	case errors.Is(err, nats.ErrTLS) && strings.Contains(err.Error(), "after TLS handshake"): // the alert that says why can be lost on the way
		why, fix = err, "look at the server's log; most likely "+certificateFix(o)
	}
	return fmt.Errorf("connecting to NATS at %s: %w: %s", o.where(), why, fix)
}

// isTLS tells whether both sides reached each other and could not agree on TLS.
func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	var alert *net.OpError // crypto/tls has its own operations for the alerts of either side
	return errors.As(err, &unverified) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &noTLS) || errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error")
}

// isRefusedCertificate tells whether the server wants another certificate of the client, or any.
func isRefusedCertificate(err error) bool {
	var alert *net.OpError // crypto/tls has no type for what it holds: its text is all there is
	return errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Error(), "certificate")
}

// certificateFix says how to come to a client certificate that the server takes.
func certificateFix(o Options) string {
	if o.CertFile == "" {
		return "the server wants a certificate of its clients: give one with --cert-file and --key-file, from an authority that it knows"
	}
	return fmt.Sprintf("the server does not take the certificate in %s (--cert-file): give one for clients, from an authority that it knows", o.CertFile)
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
