package diagnosis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// IsTLS tells whether both sides reached each other and could not agree on TLS.
func IsTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	var alert *net.OpError // crypto/tls has its own operations for the alerts of either side
	return errors.As(err, &unverified) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &noTLS) || errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error")
}

// wantsCertificate tells whether the server wants another certificate of the client, or any.
func wantsCertificate(err error) bool {
	var alert *net.OpError // crypto/tls has no type for what it holds: its text is all there is
	return errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Error(), "certificate")
}

// certificate says how to come to a client certificate that the server takes. Before goes in front.
func (w Way) certificate(before string) Finding {
	f := Finding{Class: Unusable, Fields: []string{FieldCertFile, FieldKeyFile}}
	if w.CertFile == "" {
		f.Fix = before + "the server wants a certificate of its clients: give one with its key, from an authority that it knows"
		return f
	}
	f.Fix = before + fmt.Sprintf("the server does not take the certificate in %s: give one for clients, from an authority that it knows", w.CertFile)
	return f
}

// tls says what of TLS failed, and what mends it.
func (w Way) tls(err error) Finding {
	f := Finding{Class: Unusable, Fix: "check the CA file, the host's name in the server's certificate and that both sides use TLS"}
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var alert *net.OpError
	switch {
	case errors.As(err, &host) && host.Certificate != nil:
		f.Fix = fmt.Sprintf("the server's certificate is for %s and not for %s: write the address with one of its names, or give the server a certificate that has this one",
			orNobody(namesIn(host.Certificate)), host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if late := outOfTime(invalid.Cert, time.Now()); late != nil {
			f.Fix = late.Error() + ": give the server a new certificate, or set this clock"
		}
	case errors.As(err, &unknown):
		f.Fix, f.Fields = w.unknownAuthority(unknown), []string{FieldCAFile}
	case errors.As(err, &alert) && alert.Op == "remote error":
		f.Fix = "the server ended it: check its log, which TLS versions it takes, and whether it wants a certificate of its clients"
	}
	return f
}

// unknownAuthority is about a certificate whose issuer is not trusted.
func (w Way) unknownAuthority(err x509.UnknownAuthorityError) string {
	issuer := "somebody"
	if err.Cert != nil {
		issuer = fmt.Sprintf("%q", err.Cert.Issuer.CommonName)
		if err.Cert.Issuer.CommonName == "" {
			issuer = fmt.Sprintf("%q", err.Cert.Issuer.String())
		}
	}
	if w.CAFile == "" {
		return fmt.Sprintf("its certificate was issued by %s, which this system doesn't know: give that authority's certificate as the CA file", issuer)
	}
	return fmt.Sprintf("its certificate was issued by %s and not by an authority of the CA file %s: give that authority's certificate", issuer, w.CAFile)
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "no host"
	}
	return strings.Join(names, ", ")
}
