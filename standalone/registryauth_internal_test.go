package standalone

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestTokensEnd holds a token good for its time, and no other's for any.
func TestTokensEnd(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	auth := func(password string) *registryAuth {
		return &registryAuth{key: deriveKey(messages.NewSecret(password), "tokens"), now: func() time.Time { return now }}
	}
	a := auth("right")
	token := a.sign(now.Add(tokenLife))
	push := func(by *registryAuth, token string) bool {
		r := httptest.NewRequest(http.MethodPut, "/v2/a/manifests/b", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return by.allows(r)
	}
	if !push(a, token) || !push(auth("right"), token) {
		t.Error("a fresh token is refused, or one of before a restart")
	}
	if push(auth("another"), token) || push(a, auth("another").sign(now.Add(tokenLife))) {
		t.Error("a token is good for another password")
	}
	if later := "9" + token; push(a, later) {
		t.Error("a token with another end is taken")
	}
	now = now.Add(tokenLife)
	if push(a, token) {
		t.Error("a token is good past its end")
	}
}
