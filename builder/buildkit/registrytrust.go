package buildkit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// trust says how registries are spoken to: by HTTPS, with which authorities, and by plain HTTP
// where they are named for it or are on a loopback or private address.
type trust struct {
	transport http.RoundTripper
	plain     []string // registries, as images' names begin
}

// newTrust reads the authorities in a file, "" for none, which are trusted beside the system's.
func newTrust(caFile string, plain []string) (trust, error) {
	t := trust{transport: remote.DefaultTransport, plain: plain}
	for _, host := range plain {
		if err := checkRegistryHost(host); err != nil {
			return trust{}, &FieldError{"PlainHTTP", fmt.Errorf("a registry that speaks plain HTTP, %q: %w", host, err)}
		}
	}
	if caFile == "" {
		return t, nil
	}
	authorities, err := authorities(caFile)
	if err != nil {
		return trust{}, &FieldError{"RegistryCAFile", fmt.Errorf("the registries' CA file %s: %w", caFile, err)}
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

// authorities are the system's and those of a file, in PEM.
func authorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	var failed *fs.PathError
	if errors.As(err, &failed) { // its path is named already
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
	return err
}
