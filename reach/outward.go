package reach

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Outward is the transport to what the operator names: no link-local address, where clouds keep credentials, but private ones, as
// forges and chats often have. With a file of certificate authorities it trusts those, in place of the system's.
func Outward(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTime,
		IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 1 << 20,
		DialContext: (&Rules{}).Dialer(Operator),
	}
	if caFile == "" {
		return t, nil
	}
	content, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("ca_file: %s has no certificate in PEM", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
