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

// right is what somebody may do with the registry.
type right string

const (
	mayNothing right = ""
	mayPull    right = "pull"
	mayPush    right = "push" // and pull
)

// withTokens lets who knows the reader's password read, and who knows the other one write, too. It speaks the token
// protocol of the distribution project (https://distribution.github.io/distribution/spec/auth/token/)
// because Docker engines and BuildKit ask for a token of each repository; curl's basic works too.
func withTokens(writer, reader messages.Secret, next http.Handler) http.Handler {
	a := newRegistryAuth(writer, reader)
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
	writer, reader, key []byte
	now                 func() time.Time
}

func newRegistryAuth(writer, reader messages.Secret) *registryAuth {
	return &registryAuth{writer: []byte(writer.Reveal()), reader: []byte(reader.Reveal()), key: deriveKey(writer, "tokens"), now: time.Now}
}

func (a *registryAuth) allows(r *http.Request) bool {
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	has := mayNothing
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		has = a.verify(credential)
	case strings.EqualFold(scheme, "Basic"):
		user, password, _ := r.BasicAuth()
		has = a.knows(user, password)
	}
	return has == mayPush || has == mayPull && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// knows is what a user with a password may do.
func (a *registryAuth) knows(user, password string) right {
	is := func(name string, secret []byte) bool {
		u := subtle.ConstantTimeCompare([]byte(user), []byte(name))
		p := subtle.ConstantTimeCompare([]byte(password), secret)
		return u&p == 1 && len(secret) > 0
	}
	switch {
	case is(RegistryUser, a.writer):
		return mayPush
	case is(RegistryReader, a.reader):
		return mayPull
	}
	return mayNothing
}

func (a *registryAuth) challenge(w http.ResponseWriter, r *http.Request) {
	scope := ""
	if name := repositoryOf(r.URL.Path); name != "" {
		scope = fmt.Sprintf(",scope=\"repository:%s:pull,push\"", name)
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=\"http://%s%s\",service=\"fenceline\"%s", r.Host, tokenPath, scope))
	registryError(w, http.StatusUnauthorized, "UNAUTHORIZED", needsLogin)
}

// needsLogin says which logins there are.
const needsLogin = "the embedded registry wants a login: to pull, user " + RegistryReader + " with the password in the state folder's secrets/" + registryReaderSecret +
	"; to push, user " + RegistryUser + " with that in secrets/" + registrySecret

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
// password grant.
func (a *registryAuth) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	user, password, given := r.BasicAuth()
	if r.Method == http.MethodPost {
		user, password = r.PostFormValue("username"), r.PostFormValue("password")
		given = true
	}
	has := a.knows(user, password)
	if has == mayNothing {
		text := needsLogin
		if given {
			text = "wrong user or password for the embedded registry"
		}
		registryError(w, http.StatusUnauthorized, "UNAUTHORIZED", text)
		return
	}
	token := a.sign(has, a.now().Add(tokenLife))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away needs no answer
		"token": token, "access_token": token, "expires_in": int(tokenLife.Seconds()),
		"issued_at": a.now().UTC().Format(time.RFC3339),
	})
}

// sign returns RIGHT-EXPIRY.MAC, with the expiry in Unix seconds.
func (a *registryAuth) sign(has right, expiry time.Time) string {
	text := fmt.Sprintf("%s-%d", has, expiry.Unix())
	return fmt.Sprintf("%s.%x", text, a.mac(text))
}

// verify is what the bearer of a token may do.
func (a *registryAuth) verify(token string) right {
	text, sum, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(sum), fmt.Appendf(nil, "%x", a.mac(text))) {
		return mayNothing
	}
	has, until, _ := strings.Cut(text, "-")
	expiry, err := strconv.ParseInt(until, 10, 64)
	if err != nil || a.now().Unix() >= expiry {
		return mayNothing
	}
	return right(has)
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
