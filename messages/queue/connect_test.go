package queue_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

func TestConnectSaysWhatIsWrong(t *testing.T) {
	ctx := within(t)
	_, err := queue.Connect(ctx, queue.Options{URL: "nats://someone:hunter2@127.0.0.1:1", Source: "/x"})
	if !errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "check the address") {
		t.Errorf("no server: %v", err)
	}
	s, _ := guarded(t)
	_, err = queue.Connect(ctx, queue.Options{URL: s.URL(), Source: "/x", User: "n1", Password: messages.NewSecret("wrong")})
	if err == nil || !strings.Contains(err.Error(), `check the user "n1"`) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
	_, err = queue.Connect(ctx, queue.Options{URL: "nats://someone:hunter2@127.0.0.1:port", Source: "/x"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("no URL: %v", err)
	}
	if _, err := queue.Connect(ctx, queue.Options{URL: s.URL()}); err == nil {
		t.Error("no source is no error")
	}
}

// file writes a file of the test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// certificate is one for 127.0.0.1 that signed itself, in PEM, and as a server has it. Change alters it.
func certificate(t *testing.T, change ...func(*x509.Certificate)) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
	}
	for _, f := range change {
		f(form)
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// issued is a server's certificate that the authority signed.
func issued(t *testing.T, authority tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	parent, err := x509.ParseCertificate(authority.Certificate[0])
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, Subject: pkix.Name{CommonName: "a server"},
	}
	change(form)
	der, err := x509.CreateCertificate(rand.Reader, form, parent, &key.PublicKey, authority.PrivateKey)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secured starts a server with a certificate.
func secured(t *testing.T, c tls.Certificate) *queuetest.Server {
	return queuetest.Start(t, func(o *server.Options) {
		o.TLS, o.TLSTimeout = true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
	})
}

func TestWhatIsWrongWithAConnectionIsNoOutage(t *testing.T) {
	own, ownKey := certificate(t)
	other, _ := certificate(t)
	plain := queuetest.Start(t).URL()
	secure := secured(t, ownKey)
	late := secured(t, issued(t, ownKey, func(c *x509.Certificate) { c.NotAfter = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC) })).URL()
	early := secured(t, issued(t, ownKey, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC)
	})).URL()
	elsewhere := secured(t, issued(t, ownKey, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"core.example", "nats.example"}, nil })).URL()
	expired, _ := certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC) })
	const clock = "by this machine's clock"
	tlsURL := func(url string) string { return strings.Replace(url, "nats://", "tls://", 1) }
	const seed = "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n"
	for what, test := range map[string]struct {
		url, credentials, ca string
		say                  []string
	}{
		"no credentials file":          {url: plain, credentials: "/nowhere/x.creds", say: []string{"field CredentialsFile", "/nowhere/x.creds", "check the path"}},
		"a folder as credentials":      {url: plain, credentials: t.TempDir(), say: []string{"field CredentialsFile", "is a folder"}},
		"no JWT in the credentials":    {url: plain, credentials: file(t, "a.creds", "hunter2"), say: []string{"field CredentialsFile", "a.creds", "no user JWT"}},
		"no seed in the credentials":   {url: plain, credentials: file(t, "b.creds", seed), say: []string{"field CredentialsFile", "b.creds", ".creds file"}},
		"a broken seed":                {url: plain, credentials: file(t, "c.creds", seed+"\n-----BEGIN USER NKEY SEED-----\nSUhunter2\n------END USER NKEY SEED------\n"), say: []string{"field CredentialsFile", ".creds file"}},
		"no CA file":                   {url: plain, ca: "/nowhere/ca.pem", say: []string{"field CAFile", "/nowhere/ca.pem", "check the path"}},
		"a folder as CA file":          {url: plain, ca: t.TempDir(), say: []string{"field CAFile", "is a folder"}},
		"a CA file that is none":       {url: plain, ca: file(t, "ca.pem", "hunter2"), say: []string{"field CAFile", "ca.pem", "no certificate"}},
		"TLS to a server without":      {url: tlsURL(plain), say: []string{"has no TLS"}},
		"a CA file, and no TLS":        {url: plain, ca: file(t, "ca.pem", own), say: []string{"has no TLS"}},
		"a port that can't be":         {url: "nats://127.0.0.1:99999", say: []string{"from 1 to 65535"}},
		"a certificate of nobody":      {url: secure.URL(), say: []string{`issued by "an authority"`, "doesn't know", "field CAFile"}},
		"a certificate of another":     {url: secure.URL(), ca: file(t, "ca.pem", other), say: []string{"not by an authority of the CA file", "ca.pem"}},
		"another name than the server": {url: strings.Replace(secure.URL(), "127.0.0.1", "localhost", 1), ca: file(t, "ca.pem", own), say: []string{"is for 127.0.0.1 and not for localhost"}},
		"a certificate for elsewhere":  {url: elsewhere, ca: file(t, "ca.pem", own), say: []string{"is for core.example, nats.example and not for 127.0.0.1", "one of its names"}},
		"an expired certificate":       {url: late, ca: file(t, "ca.pem", own), say: []string{`"a server" expired at 2020-02-03T04:05:06Z`, clock, "new certificate"}},
		"a certificate of the future":  {url: early, ca: file(t, "ca.pem", own), say: []string{`"a server" is good from 2090-01-01`, clock}},
		"an expired authority":         {url: secure.URL(), ca: file(t, "ca.pem", expired), say: []string{"field CAFile", `"an authority" expired at 2020-02-03`, clock}},
		"expired credentials":          {url: plain, credentials: file(t, "d.creds", strings.Replace(seed, "a.b.c", "a."+expiredClaims+".c", 1)), say: []string{"field CredentialsFile", "expired at 2020-02-03T04:05:06Z", "renew it"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := queue.Connect(within(t), queue.Options{URL: test.url, Source: "/x", CredentialsFile: test.credentials, CAFile: test.ca})
			if err == nil || errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("it is taken for an outage, or says too much: %v", err)
			}
			for _, say := range test.say {
				if !says(err, say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
	c, err := queue.Connect(within(t), queue.Options{URL: secure.URL(), Source: "/x", CAFile: file(t, "ca.pem", own)})
	must(t, err)
	c.Close()
}

// expiredClaims are the claims of a user JWT of long ago.
var expiredClaims = base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1580702706}`))

func TestAHostThatIsNotKnownYetIsAnOutageWhateverItsName(t *testing.T) {
	for _, host := range []string{"nats-tls.invalid", "x509.invalid"} {
		_, err := queue.Connect(within(t), queue.Options{URL: "nats://" + host + ":4222", Source: "/x"})
		if !errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "CA file") || !strings.Contains(err.Error(), "host's name") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
