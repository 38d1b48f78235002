package registries

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Authorities are the system's and those of a file, in PEM.
func Authorities(path string) (*x509.CertPool, error) {
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
