package standalone

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestTokensEnd holds a token good for its time, and no other's for any.
func TestTokensEnd(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	auth := func(password string) *registryAuth {
		a := newRegistryAuth(messages.NewSecret(password), messages.NewSecret("reader"))
		a.now = func() time.Time { return now }
		return a
	}
	a := auth("right")
	token := a.sign(mayPush, now.Add(tokenLife))
	push := func(by *registryAuth, token string) bool {
		r := httptest.NewRequest(http.MethodPut, "/v2/a/manifests/b", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return by.allows(r)
	}
	if !push(a, token) || !push(auth("right"), token) {
		t.Error("a fresh token is refused, or one of before a restart")
	}
	if push(auth("another"), token) || push(a, auth("another").sign(mayPush, now.Add(tokenLife))) {
		t.Error("a token is good for another password")
	}
	if push(a, a.sign(mayPull, now.Add(tokenLife))) {
		t.Error("who may pull has pushed")
	}
	if later := strings.Replace(token, "-", "-9", 1); push(a, later) {
		t.Error("a token with another end is taken")
	}
	now = now.Add(tokenLife)
	if push(a, token) {
		t.Error("a token is good past its end")
	}
}
