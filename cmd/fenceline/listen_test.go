package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// ownCertificate writes a certificate for a name and its key, and returns the files' paths.
func ownCertificate(t *testing.T, dir, name string, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	clitest.Write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	clitest.Write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
	return certFile, keyFile
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fenceline") //nolint:usetesting // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestCommandsReachUpHoweverItListens asks `up` over HTTPS and over a Unix socket, by what it says in its state folder.
func TestCommandsReachUpHoweverItListens(t *testing.T) {
	for name, how := range map[string]func(dir string) (listen string, more []string){
		"HTTPS": func(dir string) (string, []string) {
			cert, key := ownCertificate(t, dir, "producer.example.com", time.Now().Add(24*time.Hour))
			return "127.0.0.1:0", []string{"--tls-cert-file", cert, "--tls-key-file", key}
		},
		"a Unix socket": func(dir string) (string, []string) { return "unix:" + filepath.Join(dir, "s"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			t.Setenv(settings.StateVariable, filepath.Join(dir, "state"))
			listen, more := how(dir)
			_, stop := start(t, "fenceline status", append(upArgs(t, dir), append(more, "--listen", listen)...)...)
			s := fenceline(t, "status")
			if s.status != cli.ExitDone || strings.Contains(s.out, "the producer can't be reached") || strings.Contains(s.out, "expires on") != (more != nil) {
				t.Errorf("status: %+v", s)
			}
			if s := fenceline(t, "submit", "nobody"); s.status != cli.ExitFailed || !strings.Contains(s.err, `no pipeline "nobody"`) {
				t.Errorf("submit: %+v", s)
			}
			if code := stop(); code != cli.ExitDone {
				t.Errorf("it ended with %d", code)
			}
		})
	}
}

// TestDoctorLooksAtTheCertificate of a producer's settings.
func TestDoctorLooksAtTheCertificate(t *testing.T) {
	t.Setenv("FENCELINE_NATS", queuetest.Start(t).URL())
	dir := t.TempDir()
	cert, key := ownCertificate(t, dir, "producer.example.com", time.Now().Add(90*24*time.Hour))
	file := filepath.Join(dir, "settings.yaml")
	clitest.Write(t, file, "listen: 127.0.0.1:1\ntls-cert-file: "+cert+"\ntls-key-file: "+key+"\n")
	if s := fenceline(t, "doctor", "producer", "--settings", file); !strings.Contains(s.out, "is valid until") {
		t.Errorf("a good one: %+v", s)
	}
	ownCertificate(t, dir, "producer.example.com", time.Now().Add(-time.Minute))
	if s := fenceline(t, "doctor", "producer", "--settings", file); s.status != cli.ExitFailed || !strings.Contains(s.out, "has expired on") {
		t.Errorf("one that is over: %+v", s)
	}
	clitest.Write(t, key, "no key")
	if s := fenceline(t, "doctor", "producer", "--settings", file); s.status != cli.ExitFailed || !strings.Contains(s.out, cert) {
		t.Errorf("one without its key: %+v", s)
	}
}

func TestListenersThatCantBe(t *testing.T) {
	t.Setenv("FENCELINE_NATS", queuetest.Start(t).URL())
	t.Setenv("LISTEN_PID", "1")
	dir := t.TempDir()
	config := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, config, goodPipelines)
	cert, key := ownCertificate(t, dir, "a.example.com", time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"half a pair":        {[]string{"--tls-cert-file", cert}, "--tls-cert-file and --tls-key-file go together"},
		"a wrong pair":       {[]string{"--tls-cert-file", key, "--tls-key-file", cert}, "give both in PEM"},
		"a strange header":   {[]string{"--forwarded-header", "X-Real-IP"}, "is neither X-Forwarded-For nor Forwarded"},
		"no network":         {[]string{"--trusted-proxies", "proxy"}, "--trusted-proxies: \"proxy\" is neither a network"},
		"no mode":            {[]string{"--socket-mode", "rw"}, "is no mode"},
		"a relative socket":  {[]string{"--listen", "unix:sock"}, "has to begin with /"},
		"no systemd":         {[]string{"--listen", "systemd"}, "none was handed over"},
		"no address":         {[]string{"--listen", "8440"}, "--listen"},
		"a socket in no dir": {[]string{"--listen", "unix:/no/such/folder/s"}, "its folder"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fenceline(t, append([]string{"run", "producer", "--config", config}, c.args...)...)
			if s.status == cli.ExitDone || !strings.Contains(s.err, c.want) {
				t.Errorf("%+v; want %q", s, c.want)
			}
		})
	}
}

// TestASocketOfSystemd is handed over as systemd does it, and answers what came before the producer ran.
func TestASocketOfSystemd(t *testing.T) {
	dir := shortDir(t)
	config := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, config, goodPipelines)
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	answered := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/healthz", nil)
		if err == nil {
			var resp *http.Response
			if resp, err = client.Do(r); err == nil {
				_ = resp.Body.Close()
			}
		}
		answered <- err
	}()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), commandLine+"=run producer --listen systemd --config "+config+" --nats "+queuetest.Start(t).URL())
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{f}, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-answered:
	case <-time.After(time.Minute):
		err = context.DeadlineExceeded
	}
	_ = cmd.Process.Signal(os.Interrupt)
	ended := cmd.Wait()
	if err != nil || ended != nil {
		t.Errorf("answered: %v; ended: %v: %s", err, ended, &out)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("systemd's socket is gone: %v", err)
	}
}
