package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// handshake connects to a server with a certificate of dir, as the host.
func handshake(t *testing.T, dir, name, host string) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM([]byte(read(t, filepath.Join(dir, "ca.pem")))) {
		t.Fatal("ca.pem has no certificate")
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted})
	go func() { _ = server.Handshake() }()
	return tls.Client(here, &tls.Config{ServerName: host, RootCAs: trusted, Certificates: []tls.Certificate{pair}}).Handshake()
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// written writes what an installation begins with, and returns what it says of that.
func written(t *testing.T, f *Files) string {
	t.Helper()
	var out strings.Builder
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCertificatesAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "tls")
	written(t, &Files{Dir: dir, TLS: []string{"nats=core,10.0.0.5", "registry"}})
	for host, name := range map[string]string{"core": "nats", "10.0.0.5": "nats", "registry": "registry"} {
		if err := handshake(t, made, name, host); err != nil {
			t.Errorf("as %s: %v", host, err)
		}
	}
	if err := handshake(t, made, "nats", "elsewhere"); err == nil {
		t.Error("a certificate is good for any host")
	}
	for _, key := range []string{"ca-key.pem", "nats-key.pem"} {
		if info, err := os.Stat(filepath.Join(made, key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, info, err)
		}
	}

	authority, first := read(t, filepath.Join(made, "ca.pem")), read(t, filepath.Join(made, "nats.pem"))
	written(t, &Files{Dir: dir, TLS: []string{"nats=core,10.0.0.5"}})
	if read(t, filepath.Join(made, "nats.pem")) != first {
		t.Error("a certificate that is good for long was made again")
	}
	written(t, &Files{Dir: dir, TLS: []string{"nats=core,10.0.0.6"}})
	if err := handshake(t, made, "nats", "10.0.0.6"); err != nil {
		t.Errorf("for another host: %v", err)
	}
	if read(t, filepath.Join(made, "ca.pem")) != authority {
		t.Error("the authority was made again")
	}
}

func TestACertificateThatEndsSoonIsRenewed(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "tls")
	a, err := openAuthority(made)
	if err != nil {
		t.Fatal(err)
	}
	old := certificate("nats", renewBefore-time.Hour)
	old.DNSNames = []string{"nats"}
	if err := a.write("nats", old, &a.Certificate); err != nil {
		t.Fatal(err)
	}
	before := read(t, filepath.Join(made, "nats.pem"))
	stat := func(name string) os.FileInfo {
		info, err := os.Stat(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	certificate, key := stat("nats.pem"), stat("nats-key.pem")
	if out := written(t, &Files{Dir: dir, TLS: []string{"nats"}}); !strings.Contains(out, "nats.pem") {
		t.Errorf("it says %q, without the certificate", out)
	}
	if read(t, filepath.Join(made, "nats.pem")) == before {
		t.Error("the certificate is the old one")
	}
	if !os.SameFile(certificate, stat("nats.pem")) || !os.SameFile(key, stat("nats-key.pem")) {
		t.Error("a container that was given the files would still have the old ones")
	}
}

func TestWhatIsWrongWithCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(dir string)
		files   Files
		want    string
	}{
		"a server without a name":         {nil, Files{TLS: []string{"=core"}}, "write NAME or NAME=HOST,HOST"},
		"a server named as a path":        {nil, Files{TLS: []string{"../nats"}}, "write NAME or NAME=HOST,HOST"},
		"a server named as the authority": {nil, Files{TLS: []string{"ca"}}, "write NAME or NAME=HOST,HOST"},
		"an empty host":                   {nil, Files{TLS: []string{"nats=core,,x"}}, "a host without a name"},
		"a registry with a path":          {nil, Files{Registry: "registry.example.com/x"}, "HOST:PORT"},
		"an authority that lost its key": {func(dir string) {
			if err := os.Remove(filepath.Join(dir, "tls", "ca-key.pem")); err != nil {
				t.Fatal(err)
			}
		}, Files{TLS: []string{"nats"}}, "bring its two files back"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			written(t, &Files{Dir: dir, TLS: []string{"nats"}})
			if c.prepare != nil {
				c.prepare(dir)
			}
			c.files.Dir = dir
			if err := c.files.Write(io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v; want %q", err, c.want)
			}
		})
	}
}

func TestRegistryLogins(t *testing.T) {
	dir := t.TempDir()
	written(t, &Files{Dir: dir, Registry: "registry.example.com:5000"})
	first := read(t, filepath.Join(dir, "registry", "builder", "config.json"))
	written(t, &Files{Dir: dir, Registry: "registry.example.com:5000"})
	if read(t, filepath.Join(dir, "registry", "builder", "config.json")) != first {
		t.Error("a login changed")
	}
	for line := range strings.Lines(read(t, filepath.Join(dir, "registry", "htpasswd"))) {
		user, hash, _ := strings.Cut(strings.TrimSpace(line), ":")
		password := strings.TrimSpace(read(t, filepath.Join(dir, "registry", user, "password")))
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		var config struct {
			Auths map[string]struct{ Auth []byte }
		}
		if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "registry", user, "config.json"))), &config); err != nil {
			t.Fatal(err)
		}
		if got := string(config.Auths["registry.example.com:5000"].Auth); got != user+":"+password {
			t.Errorf("%s logs in with %q", user, got)
		}
	}
}
