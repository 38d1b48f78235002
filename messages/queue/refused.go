package queue

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// What a server or a certificate refuses, said so that the cause can be mended.

// who is the user that a connection is made as, for people.
func (o Options) who() string {
	switch {
	case o.CredentialsFile != "":
		return "the user of the credentials file " + o.CredentialsFile
	case o.User != "":
		return fmt.Sprintf("the user %q", o.User)
	}
	return "no user"
}

// isAuth tells whether the server refuses the user.
func isAuth(err error) bool {
	for _, e := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isCrowded tells whether the server has as many connections as it takes, which passes.
func isCrowded(err error) bool {
	return errors.Is(err, nats.ErrMaxAccountConnectionsExceeded) || errors.Is(err, nats.ErrMaxConnectionsExceeded) ||
		err != nil && strings.Contains(strings.ToLower(err.Error()), nats.MAX_CONNECTIONS_ERR) // of a first connection, which has no type
}

// authFix is what mends that the server refuses the user.
func authFix(o Options, err error) string {
	switch {
	case o.CredentialsFile != "" && (errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAccountAuthExpired)):
		return fmt.Sprintf("%s has expired: put new credentials into the file (--credentials-file)", o.who())
	case o.CredentialsFile != "":
		return fmt.Sprintf("check %s (--credentials-file) and whether the server's operator has revoked it", o.who())
	case o.User == "":
		return "the server wants a user: give --user and --password-file, or --credentials-file"
	}
	return fmt.Sprintf("check the user %q (--user) and its password (--password-file)", o.User)
}

// expiryOf is until when the user of a credentials file is good; zero where that is for ever.
func expiryOf(jwt string) time.Time {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Expires == 0 {
		return time.Time{} // the server judges it
	}
	return time.Unix(claims.Expires, 0).UTC()
}

// checkTime refuses a time in the past.
func checkTime(until, now time.Time) error {
	if until.IsZero() || now.Before(until) {
		return nil
	}
	return fmt.Errorf("it expired at %s: renew it, or set this machine's clock, by which it is %s",
		until.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// checkAuthorities refuses authorities of which none is good now.
func checkAuthorities(text []byte, now time.Time) error {
	var worst error
	found := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		found = true
		if worst = outOfTime(cert, now); worst == nil {
			return nil
		}
	}
	if !found {
		return errors.New("it has no certificate: give the authority's, in PEM")
	}
	return fmt.Errorf("%w: give the authority's new certificate", worst)
}

// outOfTime tells that a certificate is not good now, and which clock to look at.
func outOfTime(cert *x509.Certificate, now time.Time) error {
	const clock = "by this machine's clock, which must be right, it is %s"
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("the certificate of %q expired at %s; "+clock, nameOf(cert), cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("the certificate of %q is good from %s on; "+clock, nameOf(cert), cert.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func nameOf(cert *x509.Certificate) string {
	if name := cert.Subject.CommonName; name != "" {
		return name
	}
	return strings.Join(namesIn(cert), ", ")
}

// namesIn are the hosts that a certificate is for.
func namesIn(cert *x509.Certificate) []string {
	names := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// tlsFix says what of TLS failed, and what mends it.
func tlsFix(o Options, err error) string {
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var alert *net.OpError
	switch {
	case errors.As(err, &host) && host.Certificate != nil:
		return fmt.Sprintf("the server's certificate is for %s and not for %s: write the address with one of its names, or give the server a certificate that has this one",
			orNobody(namesIn(host.Certificate)), host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if late := outOfTime(invalid.Cert, time.Now()); late != nil {
			return late.Error() + ": give the server a new certificate, or set this clock"
		}
	case errors.As(err, &unknown):
		return unknownFix(o, unknown)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "the server ended it: check its log, which TLS versions it takes, and whether it wants a certificate of its clients"
	}
	return "check the CA file, the host's name in the server's certificate and that both sides use TLS"
}

// unknownFix is about a certificate whose issuer is not trusted.
func unknownFix(o Options, err x509.UnknownAuthorityError) string {
	issuer := "somebody"
	if err.Cert != nil {
		issuer = fmt.Sprintf("%q", err.Cert.Issuer.CommonName)
		if err.Cert.Issuer.CommonName == "" {
			issuer = fmt.Sprintf("%q", err.Cert.Issuer.String())
		}
	}
	if o.CAFile == "" {
		return fmt.Sprintf("its certificate was issued by %s, which this system doesn't know: give that authority's certificate by --ca-file", issuer)
	}
	return fmt.Sprintf("its certificate was issued by %s and not by an authority of the CA file %s: give that authority's certificate by --ca-file", issuer, o.CAFile)
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "no host"
	}
	return strings.Join(names, ", ")
}
