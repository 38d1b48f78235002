package console

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/oidc/oidctest"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// said is a log that several write to.
type said struct {
	mu   sync.Mutex
	text strings.Builder
	also io.Writer
}

// Write takes a line.
func (s *said) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.text.Write(line)
	return s.also.Write(line)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// newOIDCSite is a console whose people a real provider knows: ada and bob operate, vera looks, mallory has no business there.
func newOIDCSite(t *testing.T, change ...func(*oidc.Config)) (*site, *oidctest.Provider, *said) {
	t.Helper()
	return newOIDCSiteAt(t, oidctest.Start(t), change...)
}

func newOIDCSiteAt(t *testing.T, at *oidctest.Provider, change ...func(*oidc.Config)) (*site, *oidctest.Provider, *said) {
	t.Helper()
	log := &said{also: pagesThatFail{t}}
	for name, group := range map[string]string{"ada": "ops", "bob": "sre", "vera": "staff", "mallory": hostile} {
		at.Put(oidctest.Person{Login: name, Email: name + "@example.com", Groups: []string{group}})
	}
	s := newSite(t, func(c *Config, address string) {
		o := at.Config(t, address)
		c.Logger = zerolog.New(log)
		o.Logger = c.Logger
		for _, do := range change {
			do(&o)
		}
		provider, err := oidc.New(o)
		queuetest.Must(t, err)
		c.OIDC = provider
	})
	return s, at, log
}

// toProvider is where a browser is sent to sign in, on its way to a page.
func (b *browser) toProvider(t *testing.T, next string) string {
	t.Helper()
	a := b.get(t, "/sign-in/oidc?next="+url.QueryEscape(next))
	if a.status != http.StatusSeeOther {
		t.Fatalf("it is not sent to the provider: %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// by is a person's browser after they were sent back, and what they got then.
func (s *site) by(t *testing.T, at *oidctest.Provider, name, next string) (*browser, answer) {
	t.Helper()
	b := s.as(t, "")
	return b, b.get(t, at.LogIn(t, b.toProvider(t, next), name).RequestURI())
}

func TestSigningInByOIDC(t *testing.T) {
	s, at, log := newOIDCSite(t)
	s.fleet(t, "production", 2)
	nobody := s.as(t, "")
	if a := nobody.get(t, "/sign-in?next=/fleets/production"); !strings.Contains(a.body, `href="`+s.http.URL+`/sign-in/oidc?next=%2Ffleets%2Fproduction">Sign in with Example</a>`) || !strings.Contains(a.body, "Token") {
		t.Errorf("the page to sign in is\n%s", a.body)
	}
	begun := nobody.get(t, "/sign-in/oidc")
	if c := begun.header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "Max-Age=600") {
		t.Errorf("the cookie is %s", c)
	}
	ada, a := s.by(t, at, "ada", "/fleets/production")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/fleets/production" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("ada gets %d %v %s", a.status, a.header, a.body)
	}
	ada.until(t, "/", "she is in", says("ada@example.com (operator)"))
	if a := ada.post(t, "/fleets/production/hold", ada.form(t, "/fleets/production/hold", "freeze")); a.status != http.StatusSeeOther {
		t.Errorf("she holds: %d %s", a.status, a.body)
	}
	if e, err := store.Fleets(s.admin).Current(t.Context(), "production"); err != nil || e.Value.Hold == nil || e.Value.Hold.By != "ada@example.com (OIDC)" {
		t.Errorf("it is held by %+v, %v", e.Value.Hold, err)
	}
	vera, _ := s.by(t, at, "vera", "/")
	vera.until(t, "/", "she is in", says("vera@example.com (viewer)"))
	if a := vera.get(t, "/fleets/production/release"); a.status != http.StatusForbidden {
		t.Errorf("a viewer decides: %d", a.status)
	}
	out := ada.post(t, "/sign-out", nil)
	if page := ada.get(t, out.header.Get("Location")); !strings.Contains(page.body, at.URL+"/end_session?client_id=fenceline&amp;post_logout_redirect_uri="+url.QueryEscape(s.http.URL+"/sign-in")) {
		t.Errorf("after signing out: %s", page.body)
	}
	if a := ada.get(t, "/"); a.status != http.StatusSeeOther {
		t.Errorf("she is in yet: %d", a.status)
	}
	for _, line := range []string{`"by":"ada@example.com (OIDC)","role":"operator","via":"OIDC"`, `"subject":"ada"`, `"message":"decision: Hold fleet production"`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log has no %s: %s", line, log)
		}
	}
}

func TestRefusedByOIDC(t *testing.T) {
	s, at, log := newOIDCSite(t)
	now := func(what string, a answer, status int, text string) {
		t.Helper()
		if a.status != status || !strings.Contains(a.body, text) || strings.Contains(a.header.Get("Set-Cookie"), cookieName+"=") {
			t.Errorf("%s: %d %v %s, want %d and %q", what, a.status, a.header, a.body, status, text)
		}
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "\x1b") {
			t.Errorf("%s: what came from outside is on the page as it is: %s", what, a.body)
		}
	}
	_, a := s.by(t, at, "mallory", "/")
	now("no group that counts", a, http.StatusForbidden, "none of the groups that may use this console")
	victim, mallory := s.as(t, ""), s.as(t, "")
	back := at.LogIn(t, mallory.toProvider(t, "/"), "ada").RequestURI()
	now("another browser", victim.get(t, back), http.StatusBadRequest, "was not begun in this browser")
	now("and then its own", mallory.get(t, back), http.StatusBadRequest, "was not begun in this browser")
	victim.toProvider(t, "/")
	now("another browser that has begun, too", victim.get(t, at.LogIn(t, mallory.toProvider(t, "/"), "ada").RequestURI()), http.StatusBadRequest, "was not begun in this browser")
	ada, _ := s.by(t, at, "ada", "/")
	state, err := url.Parse(ada.toProvider(t, "/"))
	queuetest.Must(t, err)
	now("refused there", ada.get(t, oidc.CallbackPath+"?"+url.Values{"state": {state.Query().Get("state")}, "error": {"access_denied"}, "error_description": {hostile}}.Encode()), http.StatusForbidden, "Example did not sign you in: access_denied: &lt;script&gt;")
	for _, next := range []string{"//evil.example", "https://evil.example/", `/\evil.example`, "javascript:alert(1)"} {
		if _, a := s.by(t, at, "vera", next); a.header.Get("Location") != "/" {
			t.Errorf("next %q leads to %q, %d", next, a.header.Get("Location"), a.status)
		}
	}
	for _, secret := range []string{oidctest.Secret(), "code=", state.Query().Get("state"), "eyJ"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	var last answer
	for range triesEach + 1 {
		last = victim.get(t, oidc.CallbackPath+"?state=x&code=y")
	}
	now("many tries", last, http.StatusTooManyRequests, "Too many sign-ins")
	for range triesEach + 1 {
		last = victim.get(t, "/sign-in/oidc")
	}
	now("many begun", last, http.StatusTooManyRequests, "Too many sign-ins")
}

// TestAPersonWhomTheProviderStrikes is signed out, and the page that is open says so.
func TestAPersonWhomTheProviderStrikes(t *testing.T) {
	s, at, _ := newOIDCSite(t)
	at.Lifetime(time.Second)
	s.fleet(t, "production", 2)
	ada, _ := s.by(t, at, "ada", "/")
	bob, _ := s.by(t, at, "bob", "/")
	page := ada.until(t, "/", "the fleet is there", says("Present on 2 of 2"))
	events := ada.listen(t, streamOf(t, page))
	await(t, events, "production")
	at.Remove("ada")
	at.Put(oidctest.Person{Login: "bob", Email: "bob@example.com", Groups: []string{"staff"}})
	await(t, events, "stand by it any more")
	if a := ada.post(t, "/fleets/production/hold", url.Values{"reason": {"x"}}); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "nothing was done") {
		t.Errorf("a decision after that: %d", a.status)
	}
	a := bob.until(t, "/", "his session ends with his role", func(a answer) bool { return a.status == http.StatusSeeOther })
	if page := bob.get(t, a.header.Get("Location")); !strings.Contains(page.body, "have changed at Example") {
		t.Errorf("he is told %s", page.body)
	}
	again := at.LogIn(t, bob.toProvider(t, "/"), "bob").RequestURI()
	bob.get(t, again)
	bob.until(t, "/", "he looks", says("bob@example.com (viewer)"))
}

// TestTheProviderIsAwayAtTheStart of the console: tokens are good, and it is found when it comes.
func TestTheProviderIsAwayAtTheStart(t *testing.T) {
	at := oidctest.Start(t)
	at.Away(true)
	s, _, _ := newOIDCSiteAt(t, at, func(c *oidc.Config) { c.ProviderName = hostileName })
	if a := s.as(t, "").get(t, "/sign-in/oidc"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "can&#39;t be reached") {
		t.Errorf("it is sent somewhere: %d %v %s", a.status, a.header, a.body)
	}
	if a := s.as(t, "").get(t, "/sign-in"); !strings.Contains(a.body, "&lt;script&gt; can't be reached: nobody can sign in by it") {
		t.Errorf("the page to sign in says nothing: %s", a.body)
	}
	ada := s.as(t, "ada")
	ada.until(t, "/", "her token is good", says("ada (operator)"))
	at.Away(false)
	b := s.as(t, "")
	b.until(t, "/sign-in", "the provider is found", func(a answer) bool { return !strings.Contains(a.body, "nobody can sign in by it") })
	if to := b.toProvider(t, "/"); !strings.HasPrefix(to, at.URL+"/authorize?") {
		t.Errorf("it is sent to %s", to)
	}
}

// hostileName is short enough for a name.
const hostileName = "<script>"

func TestOverHTTPSTheCookiesAreForHTTPSAlone(t *testing.T) {
	s, _, _ := newOIDCSite(t, func(c *oidc.Config) { c.ConsoleURL = "https://console.example.com" })
	a := s.as(t, "").get(t, "/sign-in/oidc")
	if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-fenceline_sign_in=") || !strings.Contains(c, "Secure") || !strings.Contains(c, "Path=/") {
		t.Errorf("the cookie is %s", c)
	}
	if to := a.header.Get("Location"); !strings.Contains(to, url.QueryEscape("https://console.example.com/sign-in/oidc/callback")) {
		t.Errorf("it is sent to %s", to)
	}
	if a := s.as(t, "").get(t, "/sign-in"); !strings.Contains(a.body, `href="https://console.example.com/sign-in/oidc?next=%2F"`) {
		t.Errorf("the page to sign in is %s", a.body)
	}
	sessions := newSessions(time.Hour)
	w := httptest.NewRecorder()
	sessions.begin(w, httptest.NewRequest(http.MethodGet, "/", nil), Person{Name: "ada", Role: tokens.Viewer, https: true})
	if c := w.Header().Get("Set-Cookie"); !strings.Contains(c, "Secure") {
		t.Errorf("the session's cookie is %s", c)
	}
}

// TestSigningOutAsksNobody: whoever leaves does so also while the provider does not answer.
func TestSigningOutAsksNobody(t *testing.T) {
	s := newSite(t)
	b := s.as(t, "")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL, nil)
	queuetest.Must(t, err)
	w := httptest.NewRecorder()
	s.it.sessions.begin(w, r, Person{Name: "ada@example.com", Role: tokens.Viewer, Via: viaOIDC, Still: func(context.Context) Ending {
		t.Error("it is asked")
		return Ending(oidc.Unconfirmed)
	}})
	b.client.Jar.SetCookies(r.URL, w.Result().Cookies())
	if a := b.post(t, "/sign-out", nil); a.header.Get("Location") != "/sign-in?ended=here" {
		t.Errorf("it leads to %v", a.header)
	}
}
