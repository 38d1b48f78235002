package git

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

func TestCredentials(t *testing.T) {
	for token, want := range map[string]string{
		"abc": "x-access-token:abc", "x-token-auth:abc": "x-token-auth:abc", "ada:a:b": "ada:a:b", ":abc": ":abc",
	} {
		got, err := base64.StdEncoding.DecodeString(Credential(messages.NewSecret(token)))
		if err != nil || string(got) != want {
			t.Errorf("%s is sent as %q, %v; want %q", token, got, err, want)
		}
		if _, password, _ := strings.Cut(want, ":"); Password(messages.NewSecret(token)) != password {
			t.Errorf("the password of %s is %q", token, Password(messages.NewSecret(token)))
		}
	}
}

// TestATokenWithItsUser is for forges that want one.
func TestATokenWithItsUser(t *testing.T) {
	const user, token = "x-token-auth", "s3cr3t-token"
	server := gittest.Start(t)
	repo := server.Repository(t, "private")
	want := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	server.RequireToken(token)
	there, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Value
	proxy := httputil.NewSingleHostReverseProxy(there)
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, _, ok := r.BasicAuth(); ok {
			seen.Store(name)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(forge.Close)
	got, err := Head(t.Context(), Remote{URL: forge.URL + "/private.git", Branch: "main", Token: messages.NewSecret(user + ":" + token)})
	if err != nil || got != want || seen.Load() != user {
		t.Errorf("%q, %v, by the user %v; want %s", got, err, seen.Load(), want)
	}
	_, err = Head(t.Context(), Remote{URL: forge.URL + "/private.git", Branch: "main", Token: messages.NewSecret(user + ":wr0ng-token")})
	if !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "wr0ng-token") {
		t.Errorf("with a wrong token: %v; want ErrDenied without the token", err)
	}
}
