package content_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/messages"
)

// TestAMirrorIsCheckedBeforeItIsNeeded: each fault is told with its cause and what mends it.
func TestAMirrorIsCheckedBeforeItIsNeeded(t *testing.T) {
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	secure := httptest.NewTLSServer(registry.New())
	t.Cleanup(secure.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	plain := serve(registry.New().ServeHTTP)
	private := serve(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ada" || password != "right" {
			w.Header().Set("WWW-Authenticate", `Basic realm="mirror"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	hangs := make(chan struct{})
	slow := serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(hangs) })
	login := func(password string) func(string) (authn.Authenticator, error) {
		return func(string) (authn.Authenticator, error) {
			return authn.FromConfig(authn.AuthConfig{Username: "ada", Password: password}), nil
		}
	}
	for name, c := range map[string]struct {
		url   string
		login func(string) (authn.Authenticator, error)
		says  string // "" where all is well
	}{
		"well":                    {plain, nil, ""},
		"well, below a path":      {plain + "/proxy", nil, ""},
		"well, with a login":      {private, login("right"), ""},
		"without its login":       {private, nil, "give the distributor a login for"},
		"with a wrong login":      {private, login("wrong"), "correct the login for"},
		"nobody there":            {gone.URL, nil, "nobody listens there"},
		"an authority of its own": {secure.URL, nil, "have this machine trust its authority"},
		"TLS where none is":       {strings.Replace(plain, "http:", "https:", 1), nil, "write http://"},
		"none where TLS is":       {strings.Replace(secure.URL, "https:", "http:", 1), nil, "write https://"},
		"a web page": {serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
		}), nil, "with a web page"},
		"no registry":    {serve(http.NotFound), nil, "it has no /v2/"},
		"a broken one":   {serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), nil, "500"},
		"one that hangs": {slow, nil, "no answer within 100ms"},
		"no address":     {"mirror:5000", nil, "is not a mirror's address"},
	} {
		t.Run(name, func(t *testing.T) {
			m := messages.Mirror{URL: c.url}
			if c.url == slow {
				m.TimeLimit = messages.Duration(100 * time.Millisecond)
			}
			err := content.New(content.Config{Login: c.login}).Check(t.Context(), &m)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "wrong") {
				t.Errorf("it tells the password: %v", err)
			}
		})
	}
}
