package buildkit

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registryServer is a registry with one image that it calls out/image. Its name is resolved
// by at, as it is not known to any name server.
func registryServer(t *testing.T, secure bool) (s *httptest.Server, image messages.Image, at *http.Transport) {
	t.Helper()
	s = httptest.NewUnstartedServer(memory.New(memory.Logger(log.New(io.Discard, "", 0))))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tried
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	ref, err := name.NewTag(strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://") + "/out/image:first")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, empty.Image, remote.WithTransport(s.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	digest, err := empty.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return s, messages.Image("example.com:5000/out/image@" + digest.String()), s.Client().Transport.(*http.Transport)
}

// reaching makes a solver whose every registry is the server.
func reaching(t *testing.T, s *httptest.Server, c Config) *Solver {
	t.Helper()
	c.Address = "unix:///none"
	made, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Close() })
	there := made.registry.trust.transport.Clone()
	there.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	made.registry.open = func(of name.Repository) *http.Client {
		if of.Scheme() == "http" {
			return &http.Client{Transport: docker.NewHTTPFallback(there)}
		}
		return &http.Client{Transport: there}
	}
	return made
}

func TestARegistryIsSpokenToAsTheBuilderIsTold(t *testing.T) {
	for what, test := range map[string]struct {
		secure, ca bool
		plain      []string
		says       string // where it fails
	}{
		"its own authority, which is named":     {secure: true, ca: true},
		"its own authority, which is not":       {secure: true, says: "registry-ca-file"},
		"no TLS, which is named":                {plain: []string{"other.example", "example.com:5000"}},
		"no TLS, which is not":                  {says: "registry-plain-http example.com:5000"},
		"no TLS, another one is named":          {plain: []string{"example.com:5001"}, says: "registry-plain-http example.com:5000"},
		"named as plain, and with TLS by now":   {secure: true, ca: true, plain: []string{"example.com:5000"}},
		"no TLS, and an authority all the same": {ca: true, says: "registry-plain-http example.com:5000"},
	} {
		t.Run(what, func(t *testing.T) {
			s, image, client := registryServer(t, test.secure)
			c := Config{PlainHTTP: test.plain}
			if test.ca {
				trusted, _, _ := registryServer(t, true) // httptest has one certificate for all
				block := &pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate().Raw}
				c.RegistryCAFile = filepath.Join(keep(t, "ca.pem", string(pem.EncodeToMemory(block)), 0o600), "ca.pem")
			}
			solver := reaching(t, s, c)
			err := solver.Tag(t.Context(), image, "second")
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("tagging: %v, without %q", err, test.says)
				}
				if said, err := solver.registry.ask(t.Context(), string(image)); said != silent || !strings.Contains(err.Error(), test.says) {
					t.Errorf("asking: %v, %v, without %q", said, err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if said, err := solver.registry.ask(t.Context(), "example.com:5000/out/image:second"); said != present {
				t.Errorf("asking for the tag: %v, %v", said, err)
			}
			if said, err := solver.registry.ask(t.Context(), "example.com:5000/out/other:second"); said != absent {
				t.Errorf("asking for another image: %v, %v", said, err)
			}
			client.CloseIdleConnections()
		})
	}
}

func TestTrustThatCantBeMeant(t *testing.T) {
	for what, test := range map[string]struct {
		ca    string
		plain string
		says  []string
	}{
		"no such file":           {ca: "/nowhere/ca.pem", says: []string{"CA file", "/nowhere/ca.pem", "no such file"}},
		"a folder":               {ca: t.TempDir(), says: []string{"CA file", "is a directory"}},
		"no certificate":         {ca: filepath.Join(keep(t, "ca.pem", "hunter2", 0o600), "ca.pem"), says: []string{"CA file", "no certificate", "in PEM"}},
		"a URL":                  {plain: "http://registry:5000", says: []string{"plain HTTP", "without http://"}},
		"a path":                 {plain: "registry:5000/out", says: []string{"without a path"}},
		"a name without a port":  {plain: "registry", says: []string{`"registry"`, "with its port"}},
		"a port that is a word":  {plain: "registry:http", says: []string{"registry:http", "HOST:PORT"}},
		"nothing":                {plain: "", says: []string{"plain HTTP", `""`}},
		"a user in front of it ": {plain: "ann@registry:5000", says: []string{"HOST:PORT"}},
	} {
		t.Run(what, func(t *testing.T) {
			c := Config{Address: "unix:///none", RegistryCAFile: test.ca}
			if test.ca == "" {
				c.PlainHTTP = []string{test.plain}
			}
			_, err := New(c)
			var field *FieldError
			if !errors.As(err, &field) || (field.Field == "RegistryCAFile") != (test.ca != "") || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("error %v", err)
			}
			for _, say := range test.says {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
}
