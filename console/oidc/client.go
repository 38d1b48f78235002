package oidc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/fenceline/fenceline/reach"
)

const (
	// answerTime bounds a request to the provider altogether.
	answerTime = 10 * time.Second
	// answerBytes bounds what is read of an answer.
	answerBytes = 1 << 20
	// redirectsMost bounds how often the provider may send a request on, to itself.
	redirectsMost = 3
)

// newClient makes what the provider is asked by: through the proxy that the environment names, at any address but a link-local
// one, where clouds keep credentials. The provider may send a request on to its own host alone.
func newClient(caFile string) (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&reach.Rules{}).Dialer(reach.Operator), ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: answerTime / 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
	if caFile != "" {
		pool, err := authorities(caFile)
		if err != nil {
			return nil, wrong(FieldCAFile, "the CA file %s of the OpenID Connect provider: %w", caFile, err)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: bounded{t}, Timeout: answerTime, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		if from := via[0].URL; to.URL.Scheme != from.Scheme || to.URL.Host != from.Host {
			return fmt.Errorf("it redirects to %s://%s, and is followed to no other host", to.URL.Scheme, to.URL.Host)
		}
		if len(via) > redirectsMost {
			return errors.New("it redirects again and again")
		}
		return nil
	}}, nil
}

// authorities are the system's and those of a file, in PEM.
func authorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) { // its path is named already
		err = failed.Err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that can be read", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's authorities: %w: install ca-certificates", err)
	}
	if !pool.AppendCertsFromPEM(content) {
		return nil, errors.New("it has no certificate: give the authority's, in PEM")
	}
	return pool, nil
}

// bounded reads answers up to a bound: one that goes on is an error.
type bounded struct{ base http.RoundTripper }

// RoundTrip reads the whole answer.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes+1))
	_ = resp.Body.Close()
	if err == nil && len(body) > answerBytes {
		err = fmt.Errorf("the answer has more than %d bytes", answerBytes)
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// in is a context in which the provider is asked by the client.
func (p *Provider) in(ctx context.Context) context.Context { return goidc.ClientContext(ctx, p.client) }

// keyProblem is the key of a context for why the provider's keys could not be had.
type keyProblem struct{}

// keys are the provider's, fetched anew for a token of one that is not known. Why they can't be had goes where the context says:
// it is not the token's fault.
type keys struct{ goidc.KeySet }

// VerifySignature is that of the keys.
func (k keys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if to, wanted := ctx.Value(keyProblem{}).(*error); wanted && err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		*to = err
	}
	return payload, err
}

// plainError is an error of a request without the request's address, of which a part may be a secret.
func plainError(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		host := failed.URL
		if u, err := url.Parse(failed.URL); err == nil {
			host = u.Host
		}
		if failed.Timeout() && !errors.Is(failed.Err, context.Canceled) {
			return fmt.Errorf("%s did not answer within %s", host, answerTime)
		}
		return fmt.Errorf("%s: %w", host, failed.Err)
	}
	return err
}
