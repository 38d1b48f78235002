package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// producerAt is how a producer is reached.
type producerAt struct {
	base   string // of its URLs
	client *http.Client
}

// reach finds how a producer's address is reached: http://HOST:PORT, https://HOST:PORT or unix:/PATH.
func (a *access) reach(address string) (producerAt, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return producerAt{"http://localhost", &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
	}
	if a.producerCAFile == "" || !strings.HasPrefix(address, "https://") {
		return producerAt{address, http.DefaultClient}, nil
	}
	config, err := trusting(a.producerCAFile, address)
	if err != nil {
		return producerAt{}, fmt.Errorf("%s: %w", a.producerCAFile, err)
	}
	return producerAt{address, &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true}}}, nil
}

// trusting believes the certificates of a file beside the system's authorities. Where the first is no authority's it is the
// producer's own, which need not be for the address that is asked here.
func trusting(file, address string) (*tls.Config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(content) {
		return nil, errors.New("has no certificate in PEM")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	block, _ := pem.Decode(content)
	own, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(address)
	if err != nil || own.IsCA || own.VerifyHostname(at.Hostname()) == nil {
		return config, nil //nolint:nilerr // whoever asks there finds what is wrong with it
	}
	switch {
	case len(own.DNSNames) > 0:
		config.ServerName = strings.Replace(own.DNSNames[0], "*", "producer", 1)
	case len(own.IPAddresses) > 0:
		config.ServerName = own.IPAddresses[0].String()
	}
	return config, nil
}
