package pki

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/fenceline/fenceline/terminal"
)

// Files are what an installation begins with, all in one folder.
type Files struct {
	Dir      string
	Prefix   string   // of the installation's subjects, streams and buckets
	Nodes    []string // FLEET.NODE, to make a user for
	TLS      []string // servers to make a certificate for: NAME or NAME=HOST,HOST
	Registry string   // HOST:PORT to write logins for; none when empty
}

// Write writes the files that are missing, renews certificates that end soon, and tells on out
// what it wrote. Passwords and keys that exist are kept.
func (w *Files) Write(out io.Writer) error {
	servers := make([]tlsServer, len(w.TLS))
	for i, text := range w.TLS {
		var err error
		if servers[i], err = parseServer(text); err != nil {
			return err
		}
	}
	if err := writeNATSUsers(out, w.Dir, w.Prefix, w.Nodes); err != nil {
		return err
	}
	if err := writeCertificates(out, filepath.Join(w.Dir, "tls"), servers); err != nil {
		return err
	}
	if w.Registry == "" {
		return nil
	}
	dir := filepath.Join(w.Dir, "registry")
	if err := writeRegistryLogins(dir, w.Registry); err != nil {
		return err
	}
	return terminal.Line(out, "wrote %s and the logins of its users %s", filepath.Join(dir, "htpasswd"), strings.Join(registryUsers, " and "))
}
