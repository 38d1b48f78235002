package oidctest

import (
	"crypto/sha256"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID is that of the console.
const ClientID = "fenceline"

// secret is the console's.
const secret = "console-client-secret-4711"

// Secret is the client's secret, which may stand nowhere.
func Secret() string { return secret }

// Person is somebody whom the provider knows.
type Person struct {
	Login      string // which is the preferred_username, too
	Email      string
	Unverified bool
	Groups     []string
}

// Provider is a provider that runs. Its address is of another site than a console's on 127.0.0.1.
type Provider struct {
	URL string

	mu       sync.Mutex
	console  string
	people   map[string]Person
	lifetime time.Duration
	extra    map[string]any // claims besides
	away     bool
	renewals int
	keys     []*key
	requests []string // paths
}

// Start starts a provider, until the test ends.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{people: map[string]Person{}, lifetime: time.Hour, extra: map[string]any{}}
	p.Rotate(t)
	server := httptest.NewUnstartedServer(nil)
	p.URL = "http://localhost:" + server.Listener.Addr().String()[strings.LastIndex(server.Listener.Addr().String(), ":")+1:]
	store := &store{Storage: storage.NewStorageWithClients(people{p}, map[string]*storage.Client{ClientID: storage.WebClient(ClientID, secret)}), provider: p}
	provider, err := op.NewProvider(&op.Config{
		CryptoKey: sha256.Sum256([]byte("test")), CryptoKeyId: "1", DefaultLogoutRedirectURI: "/bye", CodeMethodS256: true, AuthMethodPost: true, GrantTypeRefreshToken: true,
		SupportedScopes: []string{"openid", "profile", "email", "groups", "offline_access"},
	}, store, op.StaticIssuer(p.URL), op.WithAllowInsecure())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/username", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><title>Provider</title><form method="post"><input name="id" type="hidden" value="%s"><input id="login" name="login"><button>Log in</button></form>`,
			html.EscapeString(r.FormValue("authRequestID")))
	})
	mux.HandleFunc("POST /login/username", func(w http.ResponseWriter, r *http.Request) {
		if err := store.CheckUsernamePassword(r.FormValue("login"), "", r.FormValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "/authorize/callback?id="+url.QueryEscape(r.FormValue("id")), http.StatusFound)
	})
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "signed out of the provider") })
	mux.Handle("/", provider)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.URL.Path)
		away := p.away
		p.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		mux.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	return p
}

// Config is that of a console which browsers reach at an address, for operators of the group ops and viewers of staff.
func (p *Provider) Config(t testing.TB, console string) oidc.Config {
	t.Helper()
	p.At(console)
	file := filepath.Join(t.TempDir(), "client-secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return oidc.Config{
		IssuerURL: p.URL, ClientID: ClientID, ClientSecretFile: file, ConsoleURL: console,
		OperatorGroups: []string{"ops", "sre"}, ViewerGroups: []string{"staff"}, ProviderName: "Example",
	}
}

// At says where browsers reach the console.
func (p *Provider) At(console string) { p.change(func() { p.console = console }) }

func (p *Provider) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

// Put makes a person, or has them changed.
func (p *Provider) Put(who Person) { p.change(func() { p.people[who.Login] = who }) }

// Remove strikes a person: they can neither log in nor go on.
func (p *Provider) Remove(login string) { p.change(func() { delete(p.people, login) }) }

// Lifetime sets how long ID tokens are good, in whole seconds.
func (p *Provider) Lifetime(d time.Duration) { p.change(func() { p.lifetime = d }) }

// Claim has ID tokens made with another claim, or with another value of one.
func (p *Provider) Claim(name string, value any) { p.change(func() { p.extra[name] = value }) }

// Away has every connection break, or no longer.
func (p *Provider) Away(is bool) { p.change(func() { p.away = is }) }

// Renewals is how often tokens were renewed.
func (p *Provider) Renewals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewals
}

// Requests are the paths that were asked for, in order.
func (p *Provider) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// LogIn goes through the provider's pages as a browser does, from the address that the console sent it to, and returns the one
// that it is sent back to.
func (p *Provider) LogIn(t testing.TB, at, login string) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	console := p.console
	p.mu.Unlock()
	client := &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), console+"/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := client.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusFound { // it sent the browser back at once
		return location(t, resp)
	}
	id := resp.Request.URL.Query().Get("authRequestID")
	resp, err = client.PostForm(p.URL+"/login/username", url.Values{"id": {id}, "login": {login}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return location(t, resp)
}

func location(t testing.TB, resp *http.Response) *url.URL {
	t.Helper()
	u, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider sends nobody back: %s, %v", resp.Status, err)
	}
	return u
}
