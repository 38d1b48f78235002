package buildkit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// trust says how registries are spoken to: by HTTPS, with which authorities, and by plain HTTP
// where they are named for it or are on a loopback or private address.
type trust struct {
	transport *http.Transport
	plain     []string     // registries, as images' names begin
	rules     *reach.Rules // to which addresses registries may lead
}

// newTrust reads the authorities of a Config, which are trusted beside the system's.
func newTrust(c Config) (trust, error) {
	t := trust{transport: remote.DefaultTransport.(*http.Transport), plain: c.PlainHTTP, rules: c.Rules}
	for _, host := range c.PlainHTTP {
		if err := checkRegistryHost(host); err != nil {
			return trust{}, &FieldError{"PlainHTTP", fmt.Errorf("a registry that speaks plain HTTP, %q: %w", host, err)}
		}
	}
	if c.RegistryCAFile == "" {
		return t, nil
	}
	authorities, err := registries.Authorities(c.RegistryCAFile)
	if err != nil {
		return trust{}, &FieldError{"RegistryCAFile", fmt.Errorf("the registries' CA file %s: %w", c.RegistryCAFile, err)}
	}
	own := remote.DefaultTransport.(*http.Transport).Clone()
	own.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	t.transport = own
	return t, nil
}

// checkRegistryHost refuses what no image's name begins with.
func checkRegistryHost(host string) error {
	if strings.Contains(host, "/") {
		return errors.New("give HOST:PORT, without http:// and without a path")
	}
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return errors.New("give it with its port, as the images' names have it: without one they would be of another registry")
	}
	if _, err := name.NewRegistry(host, name.StrictValidation); err != nil {
		return fmt.Errorf("%w: give HOST:PORT", err)
	}
	return nil
}

// reference reads an image's name for how its registry is spoken to.
func (t trust) reference(image string) (name.Reference, error) {
	ref, err := name.ParseReference(image)
	if err == nil && slices.Contains(t.plain, ref.Context().RegistryStr()) {
		return name.ParseReference(image, name.Insecure)
	}
	return ref, err
}

// mended says of an error of a registry which setting mends it, where one does.
func (t trust) mended(err error, registry string) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: give the builders its authority with registry-ca-file", err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: tell the builders with registry-plain-http %s that it has no TLS", err, registry)
	}
	return registries.Led(err)
}
