package oidc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"
)

// browser is the key of a browser.
var browser = strings.Repeat("b", 43)

// forger is a provider that gives whatever a test wants.
type forger struct {
	server *httptest.Server
	key    *rsa.PrivateKey
	log    bytes.Buffer

	mu       sync.Mutex
	says     map[string]any // in its discovery
	token    func(now time.Time, nonce string) map[string]any
	userInfo map[string]any
	nonce    string // of the last sign-in
	form     url.Values
	refresh  string           // the refresh token that comes along
	serve    http.HandlerFunc // in place of all
}

// forgersKey is the key of all, which takes a while to make.
var forgersKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newForger starts one that gives good tokens.
func newForger(t *testing.T) *forger {
	t.Helper()
	f := &forger{key: forgersKey()}
	f.server = httptest.NewTLSServer(http.HandlerFunc(f.answer))
	t.Cleanup(f.server.Close)
	f.says = map[string]any{
		"issuer": f.server.URL, "authorization_endpoint": f.server.URL + "/auth", "token_endpoint": f.server.URL + "/token", "jwks_uri": f.server.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	f.token = func(now time.Time, nonce string) map[string]any { return f.answerOf(f.sign(t, f.claims(now, nonce))) }
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// claims are good ones.
func (f *forger) claims(now time.Time, nonce string, change ...func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": f.server.URL, "aud": "fenceline", "sub": "1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": nonce,
		"email": "ada@example.com", "email_verified": true, "groups": []string{"ops"},
	}
	for _, do := range change {
		do(c)
	}
	return c
}

// sign makes an ID token.
func (f *forger) sign(t *testing.T, claims map[string]any) string {
	return signed(t, jose.RS256, f.key, claims)
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	must(t, err)
	text, err := json.Marshal(claims)
	must(t, err)
	made, err := s.Sign(text)
	must(t, err)
	out, err := made.CompactSerialize()
	must(t, err)
	return out
}

// answerOf is the token endpoint's.
func (f *forger) answerOf(idToken string) map[string]any {
	out := map[string]any{"access_token": "access-4711", "token_type": "Bearer", "expires_in": 3600, "id_token": idToken}
	if f.refresh != "" {
		out["refresh_token"] = f.refresh
	}
	return out
}

func (f *forger) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.serve != nil {
		f.serve(w, r)
		return
	}
	var v any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		v = f.says
	case "/keys":
		v = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &f.key.PublicKey, KeyID: "1", Algorithm: "RS256", Use: "sig"}}}
	case "/token":
		_ = r.ParseForm()
		f.form = maps.Clone(r.PostForm)
		v = f.token(time.Now(), f.nonce)
	case "/userinfo":
		v = f.userInfo
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if m, is := v.(map[string]any); is && m["error"] != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	_ = json.NewEncoder(w).Encode(v)
}

// config is a console's.
func (f *forger) config(t *testing.T) oidc.Config {
	t.Helper()
	dir := t.TempDir()
	ca, secret := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "secret")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw}), 0o600))
	must(t, os.WriteFile(secret, []byte("client-secret-0815\n"), 0o600))
	return oidc.Config{
		IssuerURL: f.server.URL, ClientID: "fenceline", ClientSecretFile: secret, ConsoleURL: "https://console.example.com", CAFile: ca, ProviderName: "Example",
		OperatorGroups: []string{"ops"}, ViewerGroups: []string{"staff"}, Logger: zerolog.New(&f.log),
	}
}

func (f *forger) provider(t *testing.T, change ...func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	c := f.config(t)
	for _, do := range change {
		do(&c)
	}
	p, err := oidc.New(c)
	must(t, err)
	return p
}

// begin begins a sign-in, and returns the state.
func (f *forger) begin(t *testing.T, p *oidc.Provider) url.Values {
	t.Helper()
	at, err := p.Begin(t.Context(), browser, "/fleets/production")
	must(t, err)
	u, err := url.Parse(at)
	must(t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nonce = u.Query().Get("nonce")
	return u.Query()
}

// signIn goes through a sign-in.
func (f *forger) signIn(t *testing.T, p *oidc.Provider) (*oidc.Login, error) {
	t.Helper()
	login, _, err := p.Finish(t.Context(), browser, url.Values{"state": {f.begin(t, p).Get("state")}, "code": {"code-1234"}})
	return login, err
}

// with has tokens made with other claims.
func (f *forger) with(t *testing.T, change func(map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = func(now time.Time, nonce string) map[string]any {
		return f.answerOf(f.sign(t, f.claims(now, nonce, change)))
	}
}

// atHash is that of the access token.
func atHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// publicPEM is the key that everybody has.
func (f *forger) publicPEM(t *testing.T) []byte {
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// refreshing has tokens come with a refresh token.
func (f *forger) refreshing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh = "refresh-1"
}

// refuse has the token endpoint give none.
func (f *forger) refuse(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = func(time.Time, string) map[string]any { return map[string]any{"error": code} }
}

// serveInstead has it answer otherwise.
func (f *forger) serveInstead(serve http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve = serve
}
