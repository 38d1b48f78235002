package oidc_test

import (
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/oidc/oidctest"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/rs/zerolog"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) on(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// lines is a log that several may write to.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write takes a line.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// signedIn is ada, signed in at a real provider.
func signedIn(t *testing.T, change ...func(*oidc.Config)) (*oidctest.Provider, *oidc.Login, *clock, *lines) {
	t.Helper()
	at := oidctest.Start(t)
	at.Put(oidctest.Person{Login: "ada", Email: "ada@example.com", Groups: []string{"ops"}})
	c, log := at.Config(t, "https://console.example.com"), &lines{}
	c.Logger = zerolog.New(log)
	for _, do := range change {
		do(&c)
	}
	p, err := oidc.New(c)
	must(t, err)
	now := &clock{}
	p.At(now.now)
	to, err := p.Begin(t.Context(), browser, "/")
	must(t, err)
	login, _, err := p.Finish(t.Context(), browser, at.LogIn(t, to, "ada").Query())
	must(t, err)
	if login.Name != "ada@example.com" || login.Role != tokens.Operator {
		t.Fatalf("signed in as %+v", login)
	}
	return at, login, now, log
}

func still(t *testing.T, what string, l *oidc.Login, want oidc.Ending) {
	t.Helper()
	if got := l.Still(t.Context()); got != want {
		t.Errorf("%s: it has ended by %q, want %q", what, got, want)
	}
}

func TestASessionIsRenewedAsLongAsTheProviderStandsByIt(t *testing.T) {
	at, login, now, log := signedIn(t)
	still(t, "at once", login, "")
	if n := at.Renewals(); n != 0 {
		t.Errorf("%d renewals at once", n)
	}
	for range 3 {
		now.on(oidc.RenewMost)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { still(t, "a while later", login, "") })
		}
		all.Wait()
	}
	if n := at.Renewals(); n != 3 {
		t.Errorf("%d renewals, want one each time", n)
	}
	at.Rotate(t)
	now.on(5 * time.Hour) // nobody looked for long
	still(t, "with another key", login, "")
	at.Remove("ada")
	still(t, "for as long as its word holds", login, "")
	now.on(oidc.RenewMost)
	still(t, "struck", login, oidc.Refused)
	at.Put(oidctest.Person{Login: "ada", Email: "ada@example.com", Groups: []string{"ops"}})
	still(t, "an ending stays", login, oidc.Refused)
	if said := log.String(); strings.Contains(said, oidctest.Secret()) || !strings.Contains(said, `"by":"ada@example.com"`) {
		t.Errorf("the log has %s", said)
	}
}

func TestGroupsAreReadAgain(t *testing.T) {
	for what, who := range map[string]oidctest.Person{
		"an operator who is a viewer": {Login: "ada", Email: "ada@example.com", Groups: []string{"staff"}},
		"in no group":                 {Login: "ada", Email: "ada@example.com"},
		"of another name":             {Login: "ada", Email: "eve@example.com", Groups: []string{"ops"}},
		"of an address not verified":  {Login: "ada", Email: "ada@example.com", Unverified: true, Groups: []string{"ops"}},
	} {
		at, login, now, _ := signedIn(t)
		at.Put(who)
		still(t, what, login, "")
		now.on(oidc.RenewMost)
		still(t, what, login, oidc.Changed)
	}
}

func TestTheProviderAwayDuringARenewal(t *testing.T) {
	at, login, now, log := signedIn(t)
	at.Lifetime(time.Minute)
	now.on(oidc.RenewMost)
	still(t, "with tokens of a minute", login, "")
	at.Away(true)
	now.on(time.Minute)
	still(t, "away", login, "")
	if !strings.Contains(log.String(), "can't be asked about a person") {
		t.Errorf("the log says nothing: %s", log)
	}
	now.on(oidc.RenewAgain)
	still(t, "asked again", login, "")
	at.Away(false)
	now.on(oidc.RenewAgain)
	// It goes on while it is asked, so that the answer may come after, and be taken in later yet.
	for late := time.After(time.Minute); at.Renewals() != 2 || login.Asking(); {
		still(t, "back", login, "")
		select {
		case <-late:
			t.Fatal("it is not asked any more")
		default:
			runtime.Gosched()
		}
	}
	now.on(time.Minute)
	at.Away(true)
	still(t, "away again", login, "")
	now.on(oidc.Grace)
	still(t, "away for long", login, oidc.Unconfirmed)
	at.Away(false)
	still(t, "an ending stays", login, oidc.Unconfirmed)
}

func TestWithoutARefreshTokenASessionEndsWithTheIDToken(t *testing.T) {
	at, login, now, _ := signedIn(t, func(c *oidc.Config) { c.Scopes = []string{"openid", "email", "groups"} })
	now.on(59 * time.Minute)
	at.Away(true) // nothing is asked of it
	still(t, "in the hour", login, "")
	now.on(time.Minute)
	still(t, "after it", login, oidc.Expired)
}

// TestARenewalThatIsNotWhatItMustBe ends the session; one that can't be judged doesn't.
func TestARenewalThatIsNotWhatItMustBe(t *testing.T) {
	for what, test := range map[string]struct {
		change func(f *forger, t *testing.T)
		want   oidc.Ending
	}{
		"another person":     {func(f *forger, t *testing.T) { f.with(t, set("sub", "2")) }, oidc.Refused},
		"another nonce":      {func(f *forger, t *testing.T) { f.with(t, set("nonce", "x")) }, oidc.Refused},
		"no nonce":           {func(f *forger, t *testing.T) { f.with(t, unset("nonce")) }, ""},
		"another audience":   {func(f *forger, t *testing.T) { f.with(t, set("aud", "grafana")) }, oidc.Refused},
		"a wrong secret":     {func(f *forger, _ *testing.T) { f.refuse("invalid_client") }, ""},
		"an error inside":    {func(f *forger, _ *testing.T) { f.refuse("server_error") }, ""},
		"no access any more": {func(f *forger, _ *testing.T) { f.refuse("access_denied") }, oidc.Refused},
		"a page":             {func(f *forger, _ *testing.T) { f.serveInstead(http.NotFound) }, ""},
	} {
		f := newForger(t)
		f.refreshing()
		p := f.provider(t)
		now := &clock{}
		p.At(now.now)
		login, err := f.signIn(t, p)
		must(t, err)
		test.change(f, t)
		now.on(oidc.RenewMost)
		still(t, what, login, test.want)
	}
}

// TestARenewalWithoutAnIDToken is the provider's word all the same: UserInfo says who it is about, and what that leaves out counts
// as the ID token of the sign-in had it, until that ends.
func TestARenewalWithoutAnIDToken(t *testing.T) {
	all := map[string]any{"sub": "1", "email": "ada@example.com", "email_verified": true, "groups": []string{"ops"}}
	other := func(claim string, value any) map[string]any {
		out := maps.Clone(all)
		if out[claim] = value; value == nil {
			delete(out, claim)
		}
		return out
	}
	for what, test := range map[string]struct {
		leftOut  string         // of the ID token, and in UserInfo at the sign-in
		userInfo map[string]any // at the renewal; nil where the provider has none
		soon     oidc.Ending    // at the first renewal
		later    oidc.Ending    // once the ID token has ended
	}{
		"no UserInfo":               {"", nil, "", oidc.Expired},
		"UserInfo":                  {"", all, "", ""},
		"no groups in it":           {"", other("groups", nil), "", oidc.Expired},
		"no address in it":          {"", other("email", nil), "", oidc.Expired},
		"not whether it's verified": {"", other("email_verified", nil), "", oidc.Expired},
		"groups of another role":    {"", other("groups", []string{"staff"}), oidc.Changed, oidc.Changed},
		"groups of none":            {"", other("groups", []string{}), oidc.Changed, oidc.Changed},
		"another name":              {"", other("email", "eve@example.com"), oidc.Changed, oidc.Changed},
		"an address not verified":   {"", other("email_verified", false), oidc.Changed, oidc.Changed},
		"another person":            {"", other("sub", "2"), oidc.Refused, oidc.Refused},
		"groups are there alone":    {"groups", all, "", ""},
		"and are no longer":         {"groups", other("groups", nil), oidc.Changed, oidc.Changed},
	} {
		f := newForger(t)
		f.refreshing()
		f.says["userinfo_endpoint"] = f.server.URL + "/userinfo"
		f.userInfo = all
		if test.userInfo == nil {
			delete(f.says, "userinfo_endpoint")
		}
		f.with(t, unset(test.leftOut))
		p := f.provider(t)
		now := &clock{}
		p.At(now.now)
		login, err := f.signIn(t, p)
		must(t, err)
		f.mu.Lock()
		f.userInfo = test.userInfo
		f.token = func(time.Time, string) map[string]any {
			return map[string]any{"access_token": "y", "token_type": "Bearer"}
		}
		f.mu.Unlock()
		now.on(oidc.RenewMost)
		still(t, what+", renewed", login, test.soon)
		for range 6 { // somebody looks all the time
			now.on(oidc.RenewMost)
			login.Still(t.Context())
		}
		still(t, what+", after the hour", login, test.later)
	}
}

// TestAPersonStruckAtAProviderWithoutRenewedIDTokens is signed out as soon as one at any other.
func TestAPersonStruckAtAProviderWithoutRenewedIDTokens(t *testing.T) {
	f := newForger(t)
	f.refreshing()
	p := f.provider(t)
	now := &clock{}
	p.At(now.now)
	login, err := f.signIn(t, p)
	must(t, err)
	asked := 0
	f.mu.Lock()
	f.token = func(time.Time, string) map[string]any {
		asked++
		return map[string]any{"access_token": "y", "token_type": "Bearer", "refresh_token": "refresh-2"}
	}
	f.mu.Unlock()
	for range 2 {
		now.on(oidc.RenewMost)
		still(t, "renewed", login, "")
	}
	f.mu.Lock()
	if asked != 2 || f.form.Get("refresh_token") != "refresh-2" {
		t.Errorf("it was asked %d times, at last by %v", asked, f.form)
	}
	f.mu.Unlock()
	f.refuse("invalid_grant")
	now.on(oidc.RenewMost)
	still(t, "struck", login, oidc.Refused)
}

// TestKeysThatCannotBeHad are not the token's fault.
func TestKeysThatCannotBeHad(t *testing.T) {
	f := newForger(t)
	p := f.provider(t)
	state := f.begin(t, p).Get("state")
	good := f.server.Config.Handler
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		good.ServeHTTP(w, r)
	})
	_, _, err := p.Finish(t.Context(), browser, url.Values{"state": {state}, "code": {"c"}})
	refused(t, "no keys", err, "the provider's keys", "can't be reached")
}
