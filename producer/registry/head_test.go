package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/fenceline/fenceline/producer/registry"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// serve runs the registry that most run, behind a handler that may answer in its place, and returns its HOST:PORT.
func serve(t *testing.T, before func(http.ResponseWriter, *http.Request, http.Handler)) string {
	t.Helper()
	config := &configuration.Configuration{Storage: configuration.Storage{"inmemory": nil}}
	config.Catalog.MaxEntries = 10
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	app := handlers.NewApp(ctx, config)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil {
			app.ServeHTTP(w, r)
			return
		}
		before(w, r, app)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// push puts an image of its own under a tag and returns its digest.
func push(t *testing.T, source string, options ...remote.Option) string {
	t.Helper()
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(source)
	if err == nil {
		err = remote.Write(ref, image, options...)
	}
	var digest v1.Hash
	if err == nil {
		digest, err = image.Digest()
	}
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func client(t *testing.T, c registry.Config) *registry.Client {
	t.Helper()
	made, err := registry.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestATagIsAskedForByHead(t *testing.T) {
	var methods, conditions []string
	host := serve(t, func(w http.ResponseWriter, r *http.Request, app http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") && r.Method != http.MethodPut {
			methods, conditions = append(methods, r.Method), append(conditions, r.Header.Get("If-None-Match"))
		}
		app.ServeHTTP(w, r)
	})
	source := host + "/library/debian:bookworm"
	first := push(t, source)
	methods, conditions = nil, nil
	c := client(t, registry.Config{})
	for _, known := range []string{"", first} {
		got, err := c.Digest(t.Context(), source, known)
		if err != nil || got != first {
			t.Errorf("known %q: %q, %v; want %q", known, got, err, first)
		}
	}
	second := push(t, source)
	if got, err := c.Digest(t.Context(), source, first); err != nil || got != second {
		t.Errorf("after a push: %q, %v; want %q", got, err, second)
	}
	heads := 0
	for _, m := range methods {
		if m == http.MethodHead {
			heads++
		}
	}
	if heads < 3 || conditions[0] != "" || conditions[1] != `"`+first+`"` {
		t.Errorf("asked by %q under %q", methods, conditions)
	}
	if _, err := c.Digest(t.Context(), host+"/library/debian:sid", ""); !errors.Is(err, registry.ErrAbsent) {
		t.Errorf("of a tag that is not there: %v", err)
	}
	for _, bad := range []string{"", "debian@sha256:" + strings.Repeat("0", 64), "UPPER/case:x", host + "/a:b:c"} {
		if _, err := c.Digest(t.Context(), bad, ""); err == nil {
			t.Errorf("%q was asked for", bad)
		}
	}
}

func TestARegistryWithALoginElsewhere(t *testing.T) {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "reader" || password != "pw" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": "T:" + r.URL.Query().Get("scope"), "expires_in": 300})
	}))
	defer tokens.Close()
	host := serve(t, func(w http.ResponseWriter, r *http.Request, app http.Handler) {
		if r.Method == http.MethodHead && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer T:repository:ops/base:pull") {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="r",scope="repository:ops/base:pull"`, tokens.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		app.ServeHTTP(w, r)
	})
	folder := t.TempDir()
	login := func(password string) {
		text := fmt.Sprintf(`{"auths":{%q:{"username":"reader","password":%q}}}`, host, password)
		if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := client(t, registry.Config{DockerConfig: folder})
	login("wrong-and-secret")
	_, err := c.Digest(t.Context(), host+"/ops/base:1", "")
	if !errors.Is(err, registry.ErrDenied) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong login: %v", err)
	}
	login("pw") // a changed login counts at once
	if _, err := c.Digest(t.Context(), host+"/ops/base:1", ""); !errors.Is(err, registry.ErrAbsent) {
		t.Errorf("with the right login: %v; want that it is not there", err)
	}
	if _, err := client(t, registry.Config{DockerConfig: t.TempDir()}).Digest(t.Context(), host+"/ops/base:1", ""); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("without the file of logins: %v", err)
	}
}

func TestARegistryThatIsAskedTooOften(t *testing.T) {
	var asked atomic.Int32
	retry := "120"
	host := serve(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		asked.Add(1)
		w.Header().Set("Retry-After", retry)
		w.WriteHeader(http.StatusTooManyRequests)
	})
	c := client(t, registry.Config{})
	for text, want := range map[string]time.Duration{"120": 2 * time.Minute, "-1": 0, "soon": 0, "9999999": 24 * time.Hour, "": 0} {
		asked.Store(0)
		retry = text
		_, err := c.Digest(t.Context(), host+"/library/debian:bookworm", "")
		var busy *registry.BusyError
		if !errors.As(err, &busy) || busy.Status != http.StatusTooManyRequests || busy.After != want {
			t.Errorf("Retry-After %q: %v, %+v; want %v", text, err, busy, want)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("Retry-After %q: asked %d times", text, n)
		}
	}
}

func TestOddRegistries(t *testing.T) {
	for _, c := range []struct {
		about  string
		answer http.HandlerFunc
		want   string // in the error; "" for the digest of the body
	}{
		{"HEAD tells no digest", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, ""},
		{"no HEAD", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			_, _ = w.Write([]byte("{}"))
		}, ""},
		{"a digest that is none", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Docker-Content-Digest", "sha256:../../x")
		}, "no digest of sha256"},
		{"the same, though nothing is known", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, "304"},
		{"an endless manifest", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = w.Write(make([]byte, 5<<20))
			}
		}, "more than"},
		{"an answer in its own words", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte("HTTP/1.1 418 \x1b[2J" + strings.Repeat("x", 100_000) + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
				_ = conn.Close()
			}
		}, "answered 418 I'm a teapot"},
		{"no answer that says anything", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "418"},
	} {
		s := httptest.NewServer(c.answer)
		got, err := client(t, registry.Config{}).Digest(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/a/b:c", "")
		s.Close()
		if c.want == "" && (err != nil || got != "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %q, %v", c.about, got, err)
		}
	}
	for _, bad := range []registry.Config{{PlainHTTP: []string{"http://a:1"}}, {PlainHTTP: []string{"a b"}}, {CAFile: "/nowhere"}, {CAFile: "head_test.go"}} {
		var field *registry.FieldError
		if _, err := registry.New(bad); !errors.As(err, &field) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
