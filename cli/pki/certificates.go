package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/terminal"
)

// How long certificates are good for. A server's is made again when it has less than a month
// left and init runs; the authority's is trusted by every machine and lasts.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 365 * 24 * time.Hour
	renewBefore   = 30 * 24 * time.Hour
)

// clockSlack is how far behind the clocks of those who check a new certificate may be.
const clockSlack = time.Hour

// authorityName is the name of the authority's files, which no server may have.
const authorityName = "ca"

// tlsServer is one that gets a certificate.
type tlsServer struct {
	name  string   // of its files
	hosts []string // names and addresses by which it is reached
}

// parseServer reads NAME or NAME=HOST,HOST.
func parseServer(text string) (tlsServer, error) {
	name, hosts, listed := strings.Cut(text, "=")
	if name == "" || name == authorityName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return tlsServer{}, settings.Usagef("--tls: %q does not begin with a name of lower-case letters, digits and hyphens, other than %q: write NAME or NAME=HOST,HOST", text, authorityName)
	}
	s := tlsServer{name, []string{name}}
	if listed {
		s.hosts = strings.Split(hosts, ",")
	}
	if slices.Contains(s.hosts, "") {
		return tlsServer{}, settings.Usagef("--tls: %q has a host without a name: write NAME=HOST,HOST", text)
	}
	return s, nil
}

// authority signs the certificates of one installation's servers.
type authority struct {
	dir string
	tls.Certificate
}

// openAuthority reads the authority in dir, or makes one.
func openAuthority(dir string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("writing certificates: %w", err)
	}
	a := &authority{dir: dir}
	pair, err := a.pair(authorityName)
	if errors.Is(err, os.ErrNotExist) {
		template := certificate("fenceline", authorityLife)
		template.IsCA, template.BasicConstraintsValid = true, true
		template.MaxPathLenZero = true
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		if err := a.write(authorityName, template, nil); err != nil {
			return nil, err
		}
		pair, err = a.pair(authorityName)
	}
	if err != nil {
		return nil, fmt.Errorf("the certificate authority in %s: %w: bring its two files back, or remove both for a new authority, which every machine must then be given", dir, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate authority in %s expired on %s: remove its two files for a new one, which every machine must then be given", dir, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	a.Certificate = pair
	return a, nil
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }
func (a *authority) key(name string) string  { return filepath.Join(a.dir, name+"-key.pem") }

// pair reads a certificate and its key. The error is os.ErrNotExist where both are missing.
func (a *authority) pair(name string) (tls.Certificate, error) {
	_, noCertificate := os.Stat(a.file(name))
	_, noKey := os.Stat(a.key(name))
	if errors.Is(noCertificate, os.ErrNotExist) && errors.Is(noKey, os.ErrNotExist) {
		return tls.Certificate{}, noKey
	}
	pair, err := tls.LoadX509KeyPair(a.file(name), a.key(name))
	if errors.Is(err, os.ErrNotExist) { // one of two is not none
		err = errors.New(err.Error())
	}
	return pair, err
}

// issue sees to it that a server has a certificate that is good for a while, and tells whether
// it had to be made.
func (a *authority) issue(s tlsServer) (made bool, err error) {
	if have, err := a.pair(s.name); err == nil && a.good(have, s.hosts) {
		return false, nil
	}
	template := certificate(s.hosts[0], serverLife)
	template.NotAfter = earlier(template.NotAfter, a.Leaf.NotAfter)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	// Servers of a cluster are each other's clients.
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames, template.IPAddresses = names(s.hosts)
	return true, a.write(s.name, template, &a.Certificate)
}

// good tells whether a certificate is one of this authority's, for these hosts, that lasts.
func (a *authority) good(have tls.Certificate, hosts []string) bool {
	dns, ips := names(hosts)
	return have.Leaf.CheckSignatureFrom(a.Leaf) == nil && time.Until(have.Leaf.NotAfter) > renewBefore &&
		slices.Equal(have.Leaf.DNSNames, dns) && slices.EqualFunc(have.Leaf.IPAddresses, ips, net.IP.Equal)
}

// write makes a key and a certificate for it, signed by parent, or by itself. The key is
// written first: a certificate says that its key is there.
func (a *authority) write(name string, template *x509.Certificate, parent *tls.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key for %s: %w", name, err)
	}
	signer, by := any(key), template
	if parent != nil {
		signer, by = parent.PrivateKey, parent.Leaf
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing a certificate for %s: %w", name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("writing the key of %s: %w", name, err)
	}
	err = replace(a.key(name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
	if err == nil {
		err = replace(a.file(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing certificates: %w", err)
	}
	return nil
}

// replace writes a file as a whole. One that is there keeps its place and its owner, as a server in
// a container has that very file; where that is interrupted, the pair is no pair and made again.
func replace(path string, content []byte, mode os.FileMode) error {
	if _, err := os.Stat(path); err == nil {
		return os.WriteFile(path, content, mode)
	}
	return standalone.WriteFile(path, content, mode)
}

// certificate is what all have in common.
func certificate(name string, life time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // never fails: crypto/rand aborts the program instead
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-clockSlack), NotAfter: time.Now().Add(life),
	}
}

// names sorts hosts into names and addresses.
func names(hosts []string) (dns []string, ips []net.IP) {
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, h)
		}
	}
	return dns, ips
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// writeCertificates makes those that are missing, and renews those that end soon.
func writeCertificates(out io.Writer, dir string, servers []tlsServer) error {
	if len(servers) == 0 {
		return nil
	}
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	for _, s := range servers {
		made, err := a.issue(s)
		if err != nil {
			return err
		}
		if made {
			err = terminal.Line(out, "wrote %s and its key, for %s", a.file(s.name), strings.Join(s.hosts, ", "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
