package diagnosis

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

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
