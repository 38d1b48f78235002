package content

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Check tells whether a mirror can be reached and lets this machine in, by its login: no image is asked for. The
// error has the cause and what mends it.
func (o *Opener) Check(ctx context.Context, m *messages.Mirror) error {
	if err := messages.CheckMirrorURL(m.URL); err != nil {
		return err
	}
	some, err := name.NewRepository("registry.example.com/image")
	if err != nil {
		return err
	}
	p, err := o.mirror(m, some)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Limit(), fmt.Errorf("no answer within %s: is it overloaded, or does a firewall drop what is sent there?", m.Limit()))
	defer cancel()
	err = p.greet(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// greet asks for what every registry has.
func (p *place) greet(ctx context.Context) error {
	client, err := p.connect(ctx)
	if err != nil {
		return p.mended(err)
	}
	at := url.URL{Scheme: p.scheme, Host: p.repo.RegistryStr(), Path: "/v2/"}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	got, err := client.Do(r)
	if err != nil {
		return p.mended(err)
	}
	defer got.Body.Close()
	if strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		return errors.New("it answers with a web page, as no registry does: check its address")
	}
	if err := transport.CheckError(got, http.StatusOK); err != nil {
		return p.mended(err)
	}
	return nil
}

// mended is an error of a first contact, with what mends it.
func (p *place) mended(err error) error {
	var status *transport.Error
	if errors.As(err, &status) && status.StatusCode == http.StatusBadRequest && p.scheme == "http" {
		return errors.New("it answers 400 Bad Request: where it speaks TLS write https://")
	}
	err = p.explain(err)
	var dns *net.DNSError
	var host x509.HostnameError
	switch {
	case errors.Is(err, distributor.ErrNotFound):
		return errors.New("it has no /v2/, as every registry has: check its address")
	case errors.As(err, &dns):
		return fmt.Errorf("%w: check its name", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens there: start it, or check the port", err)
	case errors.As(err, &host):
		return fmt.Errorf("%w: write a name that its certificate has", err)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%w: have this machine trust its authority, as update-ca-certificates does", err)
	case errors.As(err, new(x509.CertificateInvalidError)):
		return fmt.Errorf("%w: renew its certificate, or set this machine's clock", err)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return fmt.Errorf("%w: it speaks no TLS: write http://", err)
	}
	return err
}
