package confdis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence/confdis"
	"github.com/fenceline/fenceline/fence/confdis/redistest"
	"github.com/fenceline/fenceline/freeport"
)

// TestTLS reaches a Redis that speaks nothing but TLS, wants to be shown a certificate, and has a password.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	certificates(t, dir)
	address, err := freeport.Of("127.0.0.1")
	must(t, err)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	server := redistest.Start(t, "--tls-port", port, "--tls-cert-file", at("redis.pem"), "--tls-key-file", at("redis.key"),
		"--tls-ca-cert-file", at("ca.pem"), "--tls-auth-clients", "yes", "--requirepass", secret, "--bind", "127.0.0.1")
	server.Do(t, "-a", secret, "--no-auth-warning", "set", "fence", before+"app:1"+behind)

	uri := fmt.Sprintf("rediss://:%s@%s/0", secret, address)
	full := confdis.Config{RedisURI: uri, RedisCAFile: at("ca.pem"), RedisCertFile: at("client.pem"), RedisKeyFile: at("client.key")}
	for name, tc := range map[string]struct {
		change func(*confdis.Config)
		says   []string // none where it works
	}{
		"with all that it wants":  {func(*confdis.Config) {}, nil},
		"without its authority":   {func(c *confdis.Config) { c.RedisCAFile = "" }, []string{"unknown authority", "name the authority"}},
		"without a certificate":   {func(c *confdis.Config) { c.RedisCertFile, c.RedisKeyFile = "", "" }, []string{"certificate"}},
		"without TLS":             {func(c *confdis.Config) { c.RedisURI = strings.Replace(uri, "rediss", "redis", 1) }, []string{"rediss://"}},
		"with another's password": {func(c *confdis.Config) { c.RedisURI = strings.Replace(uri, secret, secret+"x", 1) }, []string{"WRONGPASS"}},
		"under another name":      {func(c *confdis.Config) { c.RedisURI = strings.Replace(uri, "127.0.0.1", "localhost", 1) }, []string{"localhost", "certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := full
			tc.change(&c)
			b, err := confdis.New(c)
			must(t, err)
			t.Cleanup(func() { must(t, b.Close()) })
			err = b.Check(within(t))
			if len(tc.says) == 0 {
				must(t, err)
				s, err := b.Get(within(t))
				must(t, err)
				_, err = b.Set(within(t), "app:2", s.Revision)
				must(t, err)
				return
			}
			for _, word := range tc.says {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
}

// TestPlainWhereTLSIsMeant: the other way round.
func TestPlainWhereTLSIsMeant(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// What Redis says to what is no command of its.
			fmt.Fprintf(c, "-ERR unknown command\r\n")
		}
	}()
	b := open(t, "rediss://"+l.Addr().String())
	if _, err := b.Get(within(t)); err == nil || !strings.Contains(err.Error(), "does not speak TLS there") {
		t.Errorf("it gives %v", err)
	}
}

// certificates makes an authority, a certificate of 127.0.0.1, and one of a client.
func certificates(t *testing.T, dir string) {
	t.Helper()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	key := writeCertificate(t, dir, "ca", authority, authority, nil)
	for n, name := range []string{"redis", "client"} {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 2)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		writeCertificate(t, dir, name, leaf, authority, key)
	}
}

// writeCertificate makes a key, and the certificate that signer's key signs: its own, where there is none.
func writeCertificate(t *testing.T, dir, name string, c, signer *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, signer, &key.PublicKey, by)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return key
}
