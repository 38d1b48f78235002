package producer

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestGitLabTakesSigningTokenOrSecretToken also while a webhook has both, and one of them is not ours.
func TestGitLabTakesSigningTokenOrSecretToken(t *testing.T) {
	sign, token := senders()[6].sign, senders()[7].sign
	for name, c := range map[string]struct {
		prepare func(h http.Header, body []byte)
		status  int
	}{
		"both":                        {func(h http.Header, b []byte) { sign(h, testSecret, b); token(h, testSecret, b) }, 202},
		"the signature alone is ours": {func(h http.Header, b []byte) { sign(h, testSecret, b); token(h, "an older one", b) }, 202},
		"the token alone is ours":     {func(h http.Header, b []byte) { sign(h, "another", b); token(h, testSecret, b) }, 202},
		"neither is ours":             {func(h http.Header, b []byte) { sign(h, "another", b); token(h, "an older one", b) }, 401},
		"the token twice":             {func(h http.Header, b []byte) { token(h, testSecret, b); h.Add("X-Gitlab-Token", testSecret) }, 401},
		"a prefix of the token":       {func(h http.Header, b []byte) { token(h, testSecret[:len(testSecret)-1], b) }, 401},
		"an empty token":              {func(h http.Header, b []byte) { token(h, "", b) }, 401},
		"an old signature, and a token": {func(h http.Header, b []byte) {
			signStandard(time.Now().Add(-time.Hour))(h, testSecret, b)
			token(h, testSecret, b)
		}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			s := senders()[6]
			body := s.payload(baseURL, mainRef, testCommit)
			r := s.hook("", body)
			c.prepare(r.Header, []byte(body))
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != c.status {
				t.Errorf("status %d, %+v; want %d", status, a, c.status)
			}
		})
	}
}

// TestPasswordsOfGenericWebhooks are for senders that can't sign.
func TestPasswordsOfGenericWebhooks(t *testing.T) {
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	for name, c := range map[string]struct {
		value  string
		status int
	}{
		"bearer": {"Bearer " + testSecret, 202}, "in lower case": {"bearer " + testSecret, 202}, "a password": {basic("any:" + testSecret), 202},
		"a password without a user": {basic(":" + testSecret), 202}, "another password": {basic("any:" + testOther + "x"), 401},
		"the secret as the user": {basic(testSecret + ":"), 401}, "no pair": {basic(testSecret), 401}, "no base64": {"Basic !", 401},
		"another scheme": {"Digest " + testSecret, 401}, "no scheme": {testSecret, 401}, "nothing": {"Bearer ", 401},
	} {
		t.Run(name, func(t *testing.T) {
			s := senders()[3]
			r := s.hook("", s.payload(baseURL, mainRef, testCommit))
			r.Header.Set("Authorization", c.value)
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != c.status {
				t.Errorf("status %d, %+v; want %d", status, a, c.status)
			}
			s.sign(r.Header, "another", nil)
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != 401 {
				t.Errorf("with a wrong signature: status %d, %+v; want 401", status, a)
			}
		})
	}
}
