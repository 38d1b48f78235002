package standalone

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// tokenLife is how long a client may use a token before it asks for another.
const tokenLife = 5 * time.Minute

// tokenPath is where clients exchange the password for a token.
const tokenPath = "/token"

// anonymous is the token of who gives no password. It allows what needs none.
const anonymous = "anonymous"

// withTokens lets everybody read, and who knows the password write. It speaks the token
// protocol of the distribution project (https://distribution.github.io/distribution/spec/auth/token/)
// because with a plain basic challenge a Docker engine without credentials could not pull, and
// without any challenge at /v2/ it would not send those it has; curl's basic works too.
func withTokens(password messages.Secret, next http.Handler) http.Handler {
	a := &registryAuth{password: []byte(password.Reveal()), key: deriveKey(password, "tokens"), now: time.Now}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == tokenPath:
			a.serveToken(w, r)
		case a.allows(r):
			r.Header.Del("Authorization") // it says nothing to the handler behind
			next.ServeHTTP(w, r)
		default:
			a.challenge(w, r)
		}
	})
}

type registryAuth struct {
	password, key []byte
	now           func() time.Time
}

func (a *registryAuth) allows(r *http.Request) bool {
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return a.verify(credential) || reads && credential == anonymous
	case strings.EqualFold(scheme, "Basic"):
		user, password, _ := r.BasicAuth()
		return a.knows(user, password)
	}
	isPing := strings.TrimSuffix(r.URL.Path, "/") == "/v2"
	return reads && !isPing
}

func (a *registryAuth) knows(user, password string) bool {
	u := subtle.ConstantTimeCompare([]byte(user), []byte(RegistryUser))
	p := subtle.ConstantTimeCompare([]byte(password), a.password)
	return u&p == 1
}

func (a *registryAuth) challenge(w http.ResponseWriter, r *http.Request) {
	scope := ""
	if name := repositoryOf(r.URL.Path); name != "" {
		scope = fmt.Sprintf(",scope=\"repository:%s:pull,push\"", name)
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=\"http://%s%s\",service=\"fenceline\"%s", r.Host, tokenPath, scope))
	registryError(w, http.StatusUnauthorized, "UNAUTHORIZED",
		"a push needs the login of the embedded registry: user "+RegistryUser+", password in the state folder's secrets/registry")
}

// repositoryOf is the NAME in /v2/NAME/blobs/… and the like, or "".
func repositoryOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return ""
	}
	for _, part := range []string{"/blobs/", "/manifests/", "/tags/"} {
		if i := strings.LastIndex(rest, part); i > 0 {
			name := rest[:i]
			if messages.CheckImageName(name) == nil {
				return name
			}
		}
	}
	return ""
}

// serveToken answers the protocol's GET with basic authentication and its POST in OAuth 2's
// password grant. Who gives no credential gets the token that reads.
func (a *registryAuth) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	user, password, given := r.BasicAuth()
	if r.Method == http.MethodPost {
		user, password = r.PostFormValue("username"), r.PostFormValue("password")
		given = true
	}
	token := anonymous
	if given {
		if !a.knows(user, password) {
			registryError(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong user or password for the embedded registry")
			return
		}
		token = a.sign(a.now().Add(tokenLife))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away needs no answer
		"token": token, "access_token": token, "expires_in": int(tokenLife.Seconds()),
		"issued_at": a.now().UTC().Format(time.RFC3339),
	})
}

// sign returns EXPIRY.MAC, with the expiry in Unix seconds.
func (a *registryAuth) sign(expiry time.Time) string {
	text := strconv.FormatInt(expiry.Unix(), 10)
	return fmt.Sprintf("%s.%x", text, a.mac(text))
}

func (a *registryAuth) verify(token string) bool {
	text, sum, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(sum), fmt.Appendf(nil, "%x", a.mac(text))) {
		return false
	}
	expiry, err := strconv.ParseInt(text, 10, 64)
	return err == nil && a.now().Unix() < expiry
}

func (a *registryAuth) mac(text string) []byte {
	m := hmac.New(sha256.New, a.key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// deriveKey makes a key for one purpose out of the password, so that what it signed is still
// good after a restart.
func deriveKey(password messages.Secret, purpose string) []byte {
	m := hmac.New(sha256.New, []byte(password.Reveal()))
	m.Write([]byte("fenceline registry " + purpose))
	return m.Sum(nil)
}

// registryError answers with an error in the form of the OCI distribution specification.
func registryError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away needs no answer
		"errors": []map[string]string{{"code": code, "message": message}},
	})
}
