package producer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// certificateFor makes a certificate of its own authority, for a name, until a time, and its key.
func certificateFor(t *testing.T, name string, until time.Time) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-365 * 24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// pairFiles are where a certificate and its key are.
type pairFiles struct{ cert, key string }

func newPairFiles(t *testing.T) pairFiles {
	dir := t.TempDir()
	return pairFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

func (f pairFiles) write(t *testing.T, cert, key []byte) {
	t.Helper()
	for path, content := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var inAYear = time.Now().Add(365 * 24 * time.Hour)

// shown asks a server for its health over a client's connections, and returns the name on the certificate, and whether the
// connection was open before.
func shown(t *testing.T, client *http.Client, url string) (name string, before bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { before = i.Reused }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	if _, err := all.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
		t.Fatalf("%s over HTTP/%d: %v", resp.Status, resp.ProtoMajor, err)
	}
	_ = resp.Body.Close()
	return resp.TLS.PeerCertificates[0].DNSNames[0], before
}

// TestACertificateIsReadAgain while a connection goes on; a bad pair leaves the one before in force, and says so.
func TestACertificateIsReadAgain(t *testing.T) {
	files := newPairFiles(t)
	cert, key := certificateFor(t, "first.example.com", inAYear)
	files.write(t, cert, key)
	c, err := LoadCertificate(files.cert, files.key, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Pipelines: load(t, testFile), Queue: &memoryQueue{}, Certificate: c, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); ended.Wait() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(p.Handler(), zerolog.Nop())
	server.TLSConfig = c.TLS()
	ended.Go(func() { _ = server.ServeTLS(l, "", "") })
	t.Cleanup(func() { _ = server.Close() })
	url := "https://" + l.Addr().String()
	dial := func() *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	long := dial()
	if name, _ := shown(t, long, url); name != "first.example.com" {
		t.Fatalf("it shows %s", name)
	}
	stays := func(want string) {
		t.Helper()
		if name, before := shown(t, long, url); name != "first.example.com" || !before {
			t.Errorf("the open connection is gone: %s, %v", name, before)
		}
		if name, _ := shown(t, dial(), url); name != want {
			t.Errorf("a new connection is shown %s; want %s", name, want)
		}
	}

	second, secondKey := certificateFor(t, "second.example.com", inAYear)
	files.write(t, second, secondKey)
	p.Reload()
	until(t, "the second is read", func() bool { return p.File().Certificate.Names[0] == "second.example.com" })
	stays("second.example.com")

	over, overKey := certificateFor(t, "over.example.com", time.Now().Add(-time.Hour))
	for what, bad := range map[string]struct{ cert, key []byte }{
		"private key does not match": {second, key}, "failed to find any PEM data": {[]byte("half"), secondKey}, "which is over": {over, overKey},
	} {
		files.write(t, bad.cert, bad.key)
		p.Reload()
		until(t, "it is said that "+what, func() bool { return strings.Contains(p.File().Certificate.Error, what) })
		stays("second.example.com")
		if s := p.File().Certificate; s.Since.IsZero() || strings.Contains(s.Error, "BEGIN") || !strings.Contains(s.Error, files.cert) {
			t.Errorf("%+v", s)
		}
	}
	third, thirdKey := certificateFor(t, "third.example.com", inAYear)
	files.write(t, third, thirdKey) // nobody asks: it is seen
	until(t, "the third is read", func() bool { return p.File().Certificate.Names[0] == "third.example.com" })
	if s := p.File().Certificate; s.Error != "" || !s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	stays("third.example.com")
}

// TestAHalfWrittenPairIsNotRead looks between the writes of the two files.
func TestAHalfWrittenPairIsNotRead(t *testing.T) {
	files := newPairFiles(t)
	first, firstKey := certificateFor(t, "first.example.com", inAYear)
	files.write(t, first, firstKey)
	var log bytes.Buffer
	c, err := LoadCertificate(files.cert, files.key, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := certificateFor(t, "second.example.com", inAYear)
	if err := os.WriteFile(files.cert, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	c.look(false)
	if err := os.WriteFile(files.key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	c.look(false)
	c.look(false)
	if s := c.State(); s.Names[0] != "second.example.com" || s.Error != "" || strings.Contains(log.String(), "can't be used") {
		t.Errorf("%+v, %s", s, &log)
	}
}

// TestACertificateThatEnds is told of once.
func TestACertificateThatEnds(t *testing.T) {
	for want, until := range map[string]time.Time{"expires soon": time.Now().Add(ExpiresSoon - time.Hour), "has expired": time.Now().Add(-time.Hour)} {
		files := newPairFiles(t)
		cert, key := certificateFor(t, "base.example.com", until)
		files.write(t, cert, key)
		var log bytes.Buffer
		c, err := LoadCertificate(files.cert, files.key, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		c.look(false)
		c.look(false)
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is told %d times: %s", want, n, &log)
		}
	}
}

func TestACertificateThatIsNone(t *testing.T) {
	files := newPairFiles(t)
	if _, err := LoadCertificate(files.cert, files.key, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), files.cert) {
		t.Errorf("missing: %v", err)
	}
	cert, key := certificateFor(t, "base.example.com", inAYear)
	files.write(t, key, cert)
	if _, err := LoadCertificate(files.cert, files.key, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "in PEM") || strings.Contains(err.Error(), "BEGIN") {
		t.Errorf("one in the place of the other: %v", err)
	}
	files.write(t, cert, key)
	if err := os.Chmod(files.key, 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if _, err := LoadCertificate(files.cert, files.key, zerolog.New(&log)); err != nil || !strings.Contains(log.String(), "every user") {
		t.Errorf("%v: %s", err, &log)
	}
}
