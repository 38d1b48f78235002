package buildkit

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestARegistryIsSpokenToAsBuildKitDoes has registries of kinds that BuildKit pushes to.
func TestARegistryIsSpokenToAsBuildKitDoes(t *testing.T) {
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	open := httptest.NewServer(inner)
	t.Cleanup(open.Close)
	ref, err := name.ParseReference(strings.TrimPrefix(open.URL, "http://") + "/site/base:first")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, empty.Image); err != nil {
		t.Fatal(err)
	}
	digest, err := empty.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tokens := tokenServer(t)
	bearer := `Bearer realm="` + tokens.URL + `/token",service="reg"`
	var busy atomic.Bool
	for what, h := range map[string]http.Handler{
		"open":                         inner,
		"a token server elsewhere":     guarded(inner, bearer),
		"Basic and Bearer":             guarded(inner, `Basic realm="x"`, bearer),
		"Bearer and Basic":             guarded(inner, bearer, `Basic realm="x"`),
		"Negotiate and Basic":          guarded(inner, `Negotiate`, `Basic realm="x"`),
		"both in one header":           guarded(inner, `Basic realm="x", `+bearer),
		"it answers 429 at first":      onceBusy(inner, &busy),
		"manifests are kept elsewhere": elsewhere(inner, open.URL),
		"its /v2/ is not there": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				http.NotFound(w, r)
				return
			}
			inner.ServeHTTP(w, r)
		}),
	} {
		t.Run(what, func(t *testing.T) {
			s, host := solverFor(t, h, "builder", "pw")
			if err := s.Tag(t.Context(), messages.Image(host+"/site/base@"+digest.String()), "second"); err != nil {
				t.Error(err)
			}
			for tag, want := range map[string]answer{"first": present, "second": present, "none": absent} {
				if said, err := s.registry.ask(t.Context(), host+"/site/base:"+tag); said != want {
					t.Errorf("asking for %s: %d, %v; want %d", tag, said, err, want)
				}
			}
			if status := s.registry.takes(t.Context(), host+"/site/base"); status != 0 {
				t.Errorf("it takes a layer, and %d is told", status)
			}
		})
	}
	for what, h := range map[string]http.Handler{"a token server": guarded(inner, bearer), "Basic": guarded(inner, `Basic realm="x"`)} {
		t.Run("a wrong login for "+what, func(t *testing.T) {
			s, host := solverFor(t, h, "builder", "s3cret-wrong")
			if said, err := s.registry.ask(t.Context(), host+"/site/base:first"); said != denied || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("asking: %d, %v; want %d without the password", said, err, denied)
			}
			err := s.Tag(t.Context(), messages.Image(host+"/site/base@"+digest.String()), "third")
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("tagging: %v", err)
			}
		})
	}
	for status, want := range map[int]answer{401: denied, 403: denied, 404: absent, 429: troubled, 500: troubled, 503: troubled} {
		t.Run(fmt.Sprintf("status %d", status), func(t *testing.T) {
			s, host := solverFor(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"denied"}]}`)
			}), "builder", "pw")
			if said, err := s.registry.ask(t.Context(), host+"/unauthorized/denied:404"); said != want {
				t.Errorf("asking: %d, %v; want %d", said, err, want)
			}
			if status == 401 {
				return // of no kind that a login is for
			}
			if told := s.registry.takes(t.Context(), host+"/site/base"); told != status {
				t.Errorf("status %d is told", told)
			}
		})
	}
	t.Run("a tag that may not change", func(t *testing.T) {
		s, host := solverFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusPreconditionFailed)
				_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"tag is immutable"}]}`)
				return
			}
			inner.ServeHTTP(w, r)
		}), "builder", "pw")
		if err := s.Tag(t.Context(), messages.Image(host+"/site/base@"+digest.String()), "fourth"); err == nil || !strings.Contains(err.Error(), "tag is immutable") {
			t.Errorf("tagging: %v", err)
		}
	})
}

// solverFor makes a solver with a login for a registry.
func solverFor(t *testing.T, h http.Handler, user, password string) (s *Solver, host string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	config := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	s, err := New(Config{Address: "unix:///none", DockerConfig: keep(t, "config.json", config, 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, host
}

// tokenServer gives tokens to a builder, as by GET or by POST.
func tokenServer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.Method == http.MethodPost {
			user, password = r.FormValue("username"), r.FormValue("password")
		}
		if user != "builder" || password != "pw" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": "T:" + strings.Join(r.URL.Query()["scope"], " "), "expires_in": 300})
	}))
	t.Cleanup(s.Close)
	return s
}

// guarded wants a token, or a password where a challenge is Basic.
func guarded(inner http.Handler, challenges ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, basic := r.BasicAuth()
		known := basic && user == "builder" && password == "pw" && strings.Contains(strings.Join(challenges, ","), "Basic")
		if known || strings.HasPrefix(r.Header.Get("Authorization"), "Bearer T:") {
			inner.ServeHTTP(w, r)
			return
		}
		for _, c := range challenges {
			if strings.HasPrefix(c, "Bearer") && r.URL.Path != "/v2/" {
				c += `,scope="repository:site/base:pull,push"`
			}
			w.Header().Add("WWW-Authenticate", c)
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	})
}

// onceBusy answers the first that is put with 429.
func onceBusy(inner http.Handler, done *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && done.CompareAndSwap(false, true) {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// elsewhere redirects those who get manifests.
func elsewhere(inner http.Handler, to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			http.Redirect(w, r, to+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func TestAChangedLoginCounts(t *testing.T) {
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	s, host := solverFor(t, guarded(inner, `Basic realm="x"`), "builder", "old")
	if said, err := s.registry.ask(t.Context(), host+"/site/base:first"); said != denied {
		t.Fatalf("with the old login: %d, %v", said, err)
	}
	s.logins.Folder = keep(t, "config.json", fmt.Sprintf(`{"auths":{%q:{"username":"builder","password":"pw"}}}`, host), 0o600)
	s.registry.logins = s.logins
	if said, err := s.registry.ask(t.Context(), host+"/site/base:first"); said != absent {
		t.Errorf("with the new login: %d, %v", said, err)
	}
}
