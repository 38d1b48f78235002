package buildkit

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/buildkit/session/auth"
)

// keep writes a file into a new folder, and returns the folder.
func keep(t *testing.T, file, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoginsThatCantBeReadAreRefused(t *testing.T) {
	const secret = "s3cret-value"
	for name, c := range map[string]struct{ dir, says string }{
		"no folder":               {filepath.Join(t.TempDir(), "none"), "config.json"},
		"not JSON":                {keep(t, "config.json", `auths: {r.example: `+secret+`}`, 0o600), "docker login"},
		"a store that is missing": {keep(t, "config.json", `{"auths": {"r.example": {}}, "credsStore": "none-such"}`, 0o600), "docker-credential-none-such is not installed"},
		"a helper that is":        {keep(t, "config.json", `{"credHelpers": {"r.example": "none-such"}}`, 0o600), "docker-credential-none-such is not installed"},
	} {
		_, err := New(Config{Address: "unix:///none", DockerConfig: c.dir})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Join(c.dir, "config.json")) {
			t.Errorf("%s: error %v does not name the file and %s", name, err, c.says)
		}
		var field *FieldError
		if !errors.As(err, &field) || field.Field != "DockerConfig" {
			t.Errorf("%s: error %v is of no field", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

func TestACredentialHelperIsAsked(t *testing.T) {
	helper := keep(t, "docker-credential-test", "#!/bin/sh\nread host\n"+`echo "{\"ServerURL\":\"$host\",\"Username\":\"ann\",\"Secret\":\"s3cret\"}"`+"\n", 0o700)
	t.Setenv("PATH", helper+":"+os.Getenv("PATH"))
	s, err := New(Config{Address: "unix:///none", DockerConfig: keep(t, "config.json", `{"credHelpers": {"r.example": "test"}}`, 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for host, user := range map[string]string{"r.example": "ann", "s.example": ""} {
		login, err := s.logins.Of(t.Context(), host)
		if err != nil || login.Username != user || (login.Password == "s3cret") != (user != "") {
			t.Errorf("the login for %s is of %q, %v; want that of %q", host, login.Username, err, user)
		}
	}
}

// TestTokensForBuildkitd has the builder ask the token servers that registries name, in buildkitd's place.
func TestTokensForBuildkitd(t *testing.T) {
	var came atomic.Value
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		came.Store(r.Method + " " + user + ":" + password + r.FormValue("refresh_token") + " " + r.FormValue("scope"))
		_, _ = io.WriteString(w, `{"token":"T","access_token":"T","expires_in":0}`)
	}))
	t.Cleanup(tokens.Close)
	s, err := New(Config{Address: "unix:///none", DockerConfig: keep(t, "config.json", `{"auths": {
		"127.0.0.1:1": {"username": "ann", "password": "pw"}, "127.0.0.1:2": {"identitytoken": "id"}, "127.0.0.1:3": {"registrytoken": "R"}}}`, 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	server := s.sessionLogins().(auth.AuthServer)
	for host, want := range map[string]string{"127.0.0.1:1": "T, GET ann:pw a", "127.0.0.1:2": "T, POST :id a", "127.0.0.1:3": "R, ", "127.0.0.1:4": "T, GET : a"} {
		came.Store("")
		got, err := server.FetchToken(t.Context(), &auth.FetchTokenRequest{Host: host, Realm: tokens.URL + "/token", Service: "s", Scopes: []string{"a"}})
		if err != nil || got.GetToken()+", "+came.Load().(string) != want || got.GetExpiresIn() != 60 {
			t.Errorf("for %s: %v, %v, %q; want %q", host, got, err, came.Load(), want)
		}
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token":"`+strings.Repeat("x", 2<<20)+`"}`)
	}))
	t.Cleanup(endless.Close)
	if _, err := server.FetchToken(t.Context(), &auth.FetchTokenRequest{Host: "127.0.0.1:4", Realm: endless.URL, Scopes: []string{"a"}}); err == nil || !strings.Contains(err.Error(), "answers more than 1 MiB") {
		t.Errorf("of a server that answers without end: %v", err)
	}
	for host, realm := range map[string]string{"127.0.0.1:1": "http://169.254.169.254/latest", "93.184.215.14": tokens.URL + "/token"} {
		came.Store("")
		_, err := server.FetchToken(t.Context(), &auth.FetchTokenRequest{Host: host, Realm: realm, Scopes: []string{"a"}})
		if err == nil || !strings.Contains(err.Error(), "allow-private-addresses") || came.Load() != "" {
			t.Errorf("%s leads to %s: %v, %q", host, realm, err, came.Load())
		}
	}
}
