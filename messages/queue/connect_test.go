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

// certificate is one for 127.0.0.1 that signed itself, in PEM, and as a server has it.
func certificate(t *testing.T) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestWhatIsWrongWithAConnectionIsNoOutage(t *testing.T) {
	own, ownKey := certificate(t)
	other, _ := certificate(t)
	plain := queuetest.Start(t).URL()
	secure := queuetest.Start(t, func(o *server.Options) {
		o.TLS, o.TLSTimeout = true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ownKey}, MinVersion: tls.VersionTLS12}
	})
	tlsURL := func(url string) string { return strings.Replace(url, "nats://", "tls://", 1) }
	const seed = "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n"
	for what, test := range map[string]struct {
		url, credentials, ca string
		say                  []string
	}{
		"no credentials file":          {url: plain, credentials: "/nowhere/x.creds", say: []string{"--credentials-file", "/nowhere/x.creds", "check the path"}},
		"a folder as credentials":      {url: plain, credentials: t.TempDir(), say: []string{"--credentials-file", "is a folder"}},
		"no JWT in the credentials":    {url: plain, credentials: file(t, "a.creds", "hunter2"), say: []string{"--credentials-file", "a.creds", "no user JWT"}},
		"no seed in the credentials":   {url: plain, credentials: file(t, "b.creds", seed), say: []string{"--credentials-file", "b.creds", ".creds file"}},
		"a broken seed":                {url: plain, credentials: file(t, "c.creds", seed+"\n-----BEGIN USER NKEY SEED-----\nSUhunter2\n------END USER NKEY SEED------\n"), say: []string{"--credentials-file", ".creds file"}},
		"no CA file":                   {url: plain, ca: "/nowhere/ca.pem", say: []string{"--ca-file", "/nowhere/ca.pem", "check the path"}},
		"a folder as CA file":          {url: plain, ca: t.TempDir(), say: []string{"--ca-file", "is a folder"}},
		"a CA file that is none":       {url: plain, ca: file(t, "ca.pem", "hunter2"), say: []string{"--ca-file", "ca.pem", "no certificate"}},
		"TLS to a server without":      {url: tlsURL(plain), say: []string{"has no TLS"}},
		"a CA file, and no TLS":        {url: plain, ca: file(t, "ca.pem", own), say: []string{"has no TLS"}},
		"a port that can't be":         {url: "nats://127.0.0.1:99999", say: []string{"from 1 to 65535"}},
		"a certificate of nobody":      {url: secure.URL(), say: []string{"check the CA file"}},
		"a certificate of another":     {url: secure.URL(), ca: file(t, "ca.pem", other), say: []string{"check the CA file"}},
		"another name than the server": {url: strings.Replace(secure.URL(), "127.0.0.1", "localhost", 1), ca: file(t, "ca.pem", own), say: []string{"the host's name"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := queue.Connect(within(t), queue.Options{URL: test.url, Source: "/x", CredentialsFile: test.credentials, CAFile: test.ca})
			if err == nil || errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("it is taken for an outage, or says too much: %v", err)
			}
			for _, say := range test.say {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
	c, err := queue.Connect(within(t), queue.Options{URL: secure.URL(), Source: "/x", CAFile: file(t, "ca.pem", own)})
	must(t, err)
	c.Close()
}

func TestAHostThatIsNotKnownYetIsAnOutageWhateverItsName(t *testing.T) {
	for _, host := range []string{"nats-tls.invalid", "x509.invalid"} {
		_, err := queue.Connect(within(t), queue.Options{URL: "nats://" + host + ":4222", Source: "/x"})
		if !errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "CA file") || !strings.Contains(err.Error(), "host's name") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
