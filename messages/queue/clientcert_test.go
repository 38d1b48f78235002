package queue_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

// authority signs certificates of a test.
type authority struct {
	form *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	return &authority{form, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// sign makes a certificate for 127.0.0.1 that is valid in a time, and its key, in PEM.
func (a *authority) sign(t *testing.T, from, to time.Time) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.form, &own.PublicKey, a.key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// signNow is sign for a certificate that is valid now.
func (a *authority) signNow(t *testing.T) (cert, key string) {
	t.Helper()
	return a.sign(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// verifying starts a NATS server that asks its clients for a certificate of the authority.
func verifying(t *testing.T, a *authority) *queuetest.Server {
	t.Helper()
	cert, key := a.signNow(t)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(a.pem))
	return queuetest.Start(t, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		}
	})
}

func TestAClientCertificateLetsIn(t *testing.T) {
	a := newAuthority(t)
	s := verifying(t, a)
	cert, key := a.signNow(t)
	ca := file(t, "ca.pem", a.pem)
	o := queue.Options{URL: s.URL(), Source: "/x", CAFile: ca, CertFile: file(t, "client.pem", cert), KeyFile: file(t, "client.key", key)}
	c, err := queue.Connect(within(t), o)
	must(t, err)
	defer c.Close()
	must(t, c.Ready(within(t)))
	t.Run("renewed, at the next connection", func(t *testing.T) {
		cert, key := a.signNow(t)
		must(t, os.WriteFile(o.CertFile, []byte(cert), 0o600))
		must(t, os.WriteFile(o.KeyFile, []byte(key), 0o600))
		s.Stop()
		s.Resume(t)
		eventually(t, "the client is connected again", func() bool { return c.Ready(within(t)) == nil })
	})
}

func TestAClientCertificateThatCantServe(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	url, ca := verifying(t, a).URL(), file(t, "ca.pem", a.pem)
	cert, key := a.signNow(t)
	_, otherKey := a.signNow(t)
	strange, strangeKey := other.signNow(t)
	old, oldKey := a.sign(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	early, earlyKey := a.sign(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	in := func(name, content string) string { return file(t, name, content) }
	locked := "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n"
	lockedBefore := "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\naHVudGVyMg==\n-----END EC PRIVATE KEY-----\n"
	broken := "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"
	for what, test := range map[string]struct {
		cert, key string
		say       []string
	}{
		"none, where one is wanted":       {"", "", []string{"wants a certificate", "field CertFile", "field KeyFile"}},
		"one without its key":             {in("c.pem", cert), "", []string{"c.pem", "field CertFile", "name the key's file"}},
		"a key alone":                     {"", in("c.key", key), []string{"c.key", "field KeyFile", "field CertFile"}},
		"no such certificate":             {"/nowhere/c.pem", in("c.key", key), []string{"/nowhere/c.pem", "field CertFile", "check the path"}},
		"no such key":                     {in("c.pem", cert), "/nowhere/c.key", []string{"/nowhere/c.key", "field KeyFile", "check the path"}},
		"a folder as certificate":         {t.TempDir(), in("c.key", key), []string{"field CertFile", "is a folder"}},
		"a folder as key":                 {in("c.pem", cert), t.TempDir(), []string{"field KeyFile", "is a folder"}},
		"a certificate that is none":      {in("c.pem", "hunter2"), in("c.key", key), []string{"c.pem", "field CertFile", "no certificate", "in PEM"}},
		"a certificate that is broken":    {in("c.pem", broken), in("c.key", key), []string{"c.pem", "can't be read", "make it anew"}},
		"a key that is none":              {in("c.pem", cert), in("c.key", "hunter2"), []string{"c.key", "field KeyFile", "no private key"}},
		"the two mixed up":                {in("c.pem", key), in("c.key", cert), []string{"c.pem", "field CertFile", "no certificate"}},
		"a key with a passphrase":         {in("c.pem", cert), in("c.key", locked), []string{"c.key", "passphrase", "openssl pkey"}},
		"one in the older form":           {in("c.pem", cert), in("c.key", lockedBefore), []string{"c.key", "passphrase"}},
		"the key of another certificate":  {in("c.pem", cert), in("c.key", otherKey), []string{"c.key", "field KeyFile", "is not the key", "c.pem"}},
		"one that has expired":            {in("c.pem", old), in("c.key", oldKey), []string{"c.pem", "expired at 20", "renew it"}},
		"one that is not valid yet":       {in("c.pem", early), in("c.key", earlyKey), []string{"c.pem", "is good from 20", "clock"}},
		"one of an authority not trusted": {in("c.pem", strange), in("c.key", strangeKey), []string{"c.pem", "does not take the certificate"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := queue.Connect(within(t), queue.Options{URL: url, Source: "/x", CAFile: ca, CertFile: test.cert, KeyFile: test.key})
			if err == nil || errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMg") {
				t.Fatalf("it is taken for an outage, or says too much: %v", err)
			}
			for _, say := range test.say {
				if !says(err, say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
}
