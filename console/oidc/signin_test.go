package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/go-jose/go-jose/v4"
)

func TestASignIn(t *testing.T) {
	f := newForger(t)
	p := f.provider(t)
	asked := f.begin(t, p)
	for key, want := range map[string]string{
		"client_id": "fenceline", "response_type": "code", "code_challenge_method": "S256", "redirect_uri": "https://console.example.com/sign-in/oidc/callback", "scope": "openid profile email",
	} {
		if asked.Get(key) != want {
			t.Errorf("%s is %q, want %q", key, asked.Get(key), want)
		}
	}
	if len(asked.Get("state")) < 43 || len(asked.Get("nonce")) < 43 || len(asked.Get("code_challenge")) != 43 {
		t.Errorf("it asks %v", asked)
	}
	login, next, err := p.Finish(t.Context(), browser, url.Values{"state": {asked.Get("state")}, "code": {"code-1234"}})
	must(t, err)
	if login.Name != "ada@example.com" || login.Subject != "1" || login.Role != tokens.Operator || next != "/fleets/production" {
		t.Errorf("it signs in %+v, on to %s", login, next)
	}
	if f.form.Get("code") != "code-1234" || len(f.form.Get("code_verifier")) < 43 || f.form.Get("redirect_uri") != asked.Get("redirect_uri") {
		t.Errorf("the code was changed for a token by %v", f.form)
	}
	if login.Still(t.Context()) != "" {
		t.Error("it has ended")
	}
	for _, secret := range []string{"code-1234", "client-secret-0815", "access-4711", asked.Get("state"), f.form.Get("code_verifier")} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// refused asserts that nobody was signed in, and why.
func refused(t *testing.T, what string, err error, log, says string) {
	t.Helper()
	var no *oidc.SignInError
	if !errors.As(err, &no) || !strings.Contains(no.Error(), log) || !strings.Contains(no.Says, says) {
		t.Errorf("%s: %v, want %q and to the person %q", what, err, log, says)
		return
	}
	if len(no.Says) > 4000 || strings.ContainsAny(no.Says, "\x1b\x00\x07") {
		t.Errorf("%s: it says %q", what, no.Says)
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	f := newForger(t)
	p := f.provider(t)
	unsigned := func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		must(t, err)
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(text) + "."
	}
	for what, test := range map[string]struct {
		token func(map[string]any) string
		log   string
	}{
		"alg none":                      {unsigned, "none"},
		"HS256 with the public key":     {func(c map[string]any) string { return signed(t, jose.HS256, f.publicPEM(t), c) }, "HS256"},
		"HS256 with the public modulus": {func(c map[string]any) string { return signed(t, jose.HS256, f.key.N.Bytes(), c) }, "HS256"},
		"another's key":                 {func(c map[string]any) string { return signed(t, jose.RS256, other, c) }, "verify"},
		"an algorithm that it hasn't":   {func(c map[string]any) string { return signed(t, jose.PS256, f.key, c) }, "PS256"},
		"no JWT":                        {func(map[string]any) string { return "x" }, "malformed"},
		"a JWT in which a byte differs": {func(c map[string]any) string { return strings.Replace(f.sign(t, c), ".", ".e", 1) }, ""},
		"more bytes than an answer has": {func(c map[string]any) string { return strings.Repeat("x", 2<<20) }, "more than"},
		"claims that are none":          {func(map[string]any) string { return signedText(t, f.key, "[]") }, "unmarshal"},
		"a text for a time":             {func(c map[string]any) string { c["exp"] = "soon"; return f.sign(t, c) }, ""},
	} {
		f.mu.Lock()
		f.token = func(now time.Time, nonce string) map[string]any { return f.answerOf(test.token(f.claims(now, nonce))) }
		f.mu.Unlock()
		_, err := f.signIn(t, p)
		refused(t, what, err, test.log, "")
	}
	now := time.Now()
	for what, test := range map[string]struct {
		change    func(map[string]any)
		log, says string
	}{
		"another issuer":              {set("iss", "https://evil.example"), "evil.example", "can't be trusted"},
		"another audience":            {set("aud", "grafana"), "grafana", "can't be trusted"},
		"no audience":                 {unset("aud"), "audience", ""},
		"one that ended":              {set("exp", now.Add(-2*time.Minute).Unix()), "see to the clocks", ""},
		"no end":                      {unset("exp"), "ended", ""},
		"one of the future":           {set("iat", now.Add(time.Hour).Unix()), "see to the clocks", ""},
		"one that is not good yet":    {set("nbf", now.Add(time.Hour).Unix()), "nbf", ""},
		"no nonce":                    {unset("nonce"), "nonce", ""},
		"the nonce of another":        {set("nonce", "x"), "nonce", ""},
		"another access token's hash": {set("at_hash", atHash("access-0000")), "at_hash", ""},
		"no subject":                  {unset("sub"), "subject", ""},
		"a long subject":              {set("sub", strings.Repeat("x", 256)), "subject", ""},
		"another party":               {set("azp", "grafana"), "grafana", ""},
		"several audiences":           {set("aud", []string{"fenceline", "grafana"}), "another client", ""},
		"hostile text":                {set("iss", "\x1b[2J<script>"+strings.Repeat("x", 10_000)), "issued by", ""},
	} {
		f.with(t, test.change)
		_, err := f.signIn(t, p)
		refused(t, what, err, test.log, test.says)
		if len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
		}
	}
	f.mu.Lock()
	f.token = func(time.Time, string) map[string]any {
		return map[string]any{"access_token": "x", "token_type": "Bearer"}
	}
	f.mu.Unlock()
	_, err = f.signIn(t, p)
	refused(t, "no ID token", err, "no ID token", "")
}

func signedText(t *testing.T, key any, text string) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	must(t, err)
	made, err := s.Sign([]byte(text))
	must(t, err)
	out, err := made.CompactSerialize()
	must(t, err)
	return out
}

func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func unset(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }

func both(all ...func(map[string]any)) func(map[string]any) {
	return func(c map[string]any) {
		for _, do := range all {
			do(c)
		}
	}
}

func TestWhoIsSignedIn(t *testing.T) {
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("<b>group-%d\x1b[2J", i)
	}
	f := newForger(t)
	byEmail := f.provider(t)
	byName := f.provider(t, func(c *oidc.Config) { c.NameClaim, c.GroupsClaim = "preferred_username", "https://example.com/roles" })
	for what, test := range map[string]struct {
		p      *oidc.Provider
		change func(map[string]any)
		name   string
		role   tokens.Role
		says   string
	}{
		"an operator":                     {byEmail, set("groups", []string{"x", "ops"}), "ada@example.com", tokens.Operator, ""},
		"a viewer":                        {byEmail, set("groups", []string{"staff"}), "ada@example.com", tokens.Viewer, ""},
		"both":                            {byEmail, set("groups", []string{"staff", "ops"}), "ada@example.com", tokens.Operator, ""},
		"one group as a text":             {byEmail, set("groups", "staff"), "ada@example.com", tokens.Viewer, ""},
		"clocks that differ a bit":        {byEmail, both(set("iat", time.Now().Add(-time.Hour-30*time.Second).Unix()), set("exp", time.Now().Add(-30*time.Second).Unix())), "ada@example.com", tokens.Operator, ""},
		"verified as a text":              {byEmail, set("email_verified", "true"), "ada@example.com", tokens.Operator, ""},
		"the right hash":                  {byEmail, set("at_hash", atHash("access-4711")), "ada@example.com", tokens.Operator, ""},
		"several audiences, to this one":  {byEmail, both(set("aud", []string{"fenceline", "grafana"}), set("azp", "fenceline")), "ada@example.com", tokens.Operator, ""},
		"another claim":                   {byName, both(set("preferred_username", "ada"), set("https://example.com/roles", []string{"ops"})), "ada", tokens.Operator, ""},
		"no group":                        {byEmail, unset("groups"), "", "", `none of the groups that may use this console. The claim "groups" has no group`},
		"other groups":                    {byEmail, set("groups", []string{"sales", "OPS"}), "", "", `has "sales", "OPS"`},
		"null for groups":                 {byEmail, set("groups", nil), "", "", "no group"},
		"thousands of groups":             {byEmail, set("groups", many), "", "", "and 4990 more"},
		"a number for groups":             {byEmail, set("groups", 7), "", "", "neither a text nor a list of texts"},
		"texts and numbers":               {byEmail, set("groups", []any{"ops", 7}), "", "", "neither a text nor a list of texts"},
		"too many groups for the token":   {byEmail, both(unset("groups"), set("_claim_names", map[string]string{"groups": "src1"}), set("_claim_sources", map[string]any{"src1": map[string]string{"endpoint": "https://graph.example/groups"}})), "", "", "more groups than Example puts into a token: it refers to https://graph.example/groups"},
		"the same in short":               {byEmail, both(unset("groups"), set("hasgroups", true)), "", "", "more groups than"},
		"an address that is not verified": {byEmail, set("email_verified", false), "", "", "has not verified your address ada@example.com"},
		"one of which it says nothing":    {byEmail, unset("email_verified"), "", "", "doesn't say whether your address"},
		"no address":                      {byEmail, unset("email"), "", "", `no claim "email"`},
		"a number for an address":         {byEmail, set("email", 5), "", "", `no claim "email"`},
		"an address of other letters":     {byEmail, set("email", "аda@example.com"), "", "", "can't stand in records"},
		"an address that marks itself":    {byEmail, set("email", "ada (OIDC)"), "", "", "can't stand in records"},
		"a long address":                  {byEmail, set("email", strings.Repeat("x", 129)), "", "", "more than 128 bytes"},
		"an address with commands":        {byEmail, set("email", "\x1b]0;own\x07"), "", "", "can't stand in records"},
	} {
		f.with(t, test.change)
		login, err := f.signIn(t, test.p)
		if test.says != "" {
			refused(t, what, err, "", test.says)
			continue
		}
		if err != nil || login.Name != test.name || login.Role != test.role {
			t.Errorf("%s: %+v, %v", what, login, err)
		}
	}
}

// TestAProviderThatRepeatsSecrets, as some do in what is to help find a mistake, has them in no error, and so in no log.
func TestAProviderThatRepeatsSecrets(t *testing.T) {
	f := newForger(t)
	f.says["userinfo_endpoint"] = f.server.URL + "/userinfo"
	p := f.provider(t)
	const secret, code, access = "client-secret-0815", "code-1234", "access-4711"
	hidden := func(what string) {
		t.Helper()
		_, err := f.signIn(t, p)
		refused(t, what, err, "[secret]", "")
		for _, s := range []string{secret, code, access, f.form.Get("code_verifier")} {
			if strings.Contains(fmt.Sprint(err), s) {
				t.Errorf("%s: the error has %q: %v", what, s, err)
			}
		}
	}
	f.with(t, unset("groups"))
	f.userInfo = map[string]any{"error": "Bearer " + access + " is no good"}
	hidden("UserInfo")
	for _, name := range []string{"invalid_client", "invalid_grant"} {
		f.mu.Lock()
		f.token = func(time.Time, string) map[string]any {
			return map[string]any{"error": name, "error_description": secret + " " + code + " " + f.form.Get("code_verifier")}
		}
		f.mu.Unlock()
		hidden(name)
	}
}

// TestWhatTheTokenLeavesOut is asked for, as providers that go by the letter have it.
func TestWhatTheTokenLeavesOut(t *testing.T) {
	f := newForger(t)
	f.says["userinfo_endpoint"] = f.server.URL + "/userinfo"
	p := f.provider(t)
	f.with(t, both(unset("email"), unset("email_verified"), unset("groups")))
	full := map[string]any{"sub": "1", "email": "ada@example.com", "email_verified": true, "groups": []string{"staff"}}
	f.userInfo = full
	if login, err := f.signIn(t, p); err != nil || login.Name != "ada@example.com" || login.Role != tokens.Viewer {
		t.Errorf("%+v, %v", login, err)
	}
	for what, test := range map[string]struct {
		change    func(map[string]any)
		log, says string
	}{
		"another person": {set("sub", "2"), "another person", "can't be trusted"},
		"no groups":      {unset("groups"), "", "no group"},
		"not verified":   {set("email_verified", false), "", "has not verified"},
	} {
		f.mu.Lock()
		f.userInfo = maps.Clone(full)
		test.change(f.userInfo)
		f.mu.Unlock()
		_, err := f.signIn(t, p)
		refused(t, what, err, test.log, test.says)
	}
	// What the token says counts: the address of UserInfo verifies none of the token's.
	f.with(t, both(set("email", "root@example.com"), unset("email_verified")))
	f.userInfo = full
	_, err := f.signIn(t, p)
	refused(t, "an address verified by another", err, "", "doesn't say whether your address root@example.com")
}

func TestASignInEndsWhereItBegan(t *testing.T) {
	f := newForger(t)
	p := f.provider(t)
	now := time.Now()
	p.At(func() time.Time { return now })
	good := func() url.Values { return url.Values{"state": {f.begin(t, p).Get("state")}, "code": {"c"}} }
	finish := func(what, by string, back url.Values, says string) {
		t.Helper()
		login, _, err := p.Finish(t.Context(), by, back)
		if login != nil {
			t.Errorf("%s: somebody is signed in", what)
		}
		refused(t, what, err, "", says)
	}
	const notHere = "was not begun in this browser"
	stolen := good()
	finish("another browser", strings.Repeat("x", 43), stolen, notHere)
	finish("and then its own", browser, stolen, notHere)
	finish("no browser", "", good(), notHere)
	finish("no state", browser, url.Values{"code": {"c"}}, notHere)
	finish("a long state", browser, url.Values{"state": {strings.Repeat("x", 1<<20)}, "code": {"c"}}, notHere)
	finish("an error that nobody asked for", browser, url.Values{"state": {"x"}, "error": {"read this"}}, notHere)
	used := good()
	if _, _, err := p.Finish(t.Context(), browser, used); err != nil {
		t.Fatal(err)
	}
	finish("a second time", browser, used, notHere)
	late := good()
	now = now.Add(oidc.AttemptTime)
	finish("too late", browser, late, notHere)
	back := good()
	back.Set("error", "access_denied")
	back.Set("error_description", "<script>\x1b[2J"+strings.Repeat("x", 10_000))
	finish("refused", browser, back, `Example did not sign you in: access_denied: <script>\x1b[2J`)
	back = good()
	back.Set("iss", "https://evil.example")
	finish("another provider's answer", browser, back, "another provider")
	back = good()
	back.Del("code")
	finish("no code", browser, back, "without a code")
	f.mu.Lock()
	f.token = func(time.Time, string) map[string]any {
		return map[string]any{"error": "invalid_grant", "error_description": "used"}
	}
	f.mu.Unlock()
	finish("a code that was used", browser, good(), "doesn't take the code")
	f.mu.Lock()
	f.token = func(time.Time, string) map[string]any {
		return map[string]any{"error": "invalid_client", "error_description": "client-secret-0815?"}
	}
	f.mu.Unlock()
	finish("a wrong secret", browser, good(), "doesn't answer as it should")
}

func TestSignInsThatAreBegunAreBounded(t *testing.T) {
	f := newForger(t)
	p := f.provider(t)
	first := f.begin(t, p)
	for range oidc.AttemptsMost {
		f.begin(t, p)
	}
	last := f.begin(t, p)
	if n := p.Begun(); n != oidc.AttemptsMost {
		t.Errorf("%d are kept", n)
	}
	_, _, err := p.Finish(t.Context(), browser, url.Values{"state": {first.Get("state")}, "code": {"c"}})
	refused(t, "the oldest", err, "", "was not begun")
	if _, _, err = p.Finish(t.Context(), browser, url.Values{"state": {last.Get("state")}, "code": {"c"}}); err != nil {
		t.Errorf("the newest: %v", err)
	}
}

func TestAProviderThatIsAwayIsAskedAgain(t *testing.T) {
	f := newForger(t)
	f.serve = func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<b>no\x1b[2J", http.StatusServiceUnavailable)
	}
	p := f.provider(t)
	now := time.Now()
	p.At(func() time.Time { return now })
	if p.Away() {
		t.Error("it is away before it was asked")
	}
	_, err := p.Begin(t.Context(), browser, "/")
	refused(t, "away", err, "503", "can't be reached")
	if !p.Away() || !strings.Contains(f.log.String(), "503") {
		t.Errorf("it is not away: %s", f.log.String())
	}
	f.mu.Lock()
	f.serve = nil
	f.mu.Unlock()
	if _, err := p.Begin(t.Context(), browser, "/"); err == nil {
		t.Error("it is not left alone for a moment")
	}
	now = now.Add(oidc.LookAgain)
	if _, err := p.Begin(t.Context(), browser, "/"); err != nil || p.Away() {
		t.Errorf("it is away yet: %v", err)
	}
}

// TestRunFindsAProviderThatComes without anybody who signs in.
func TestRunFindsAProviderThatComes(t *testing.T) {
	f := newForger(t)
	asked := make(chan struct{})
	f.serve = func(w http.ResponseWriter, _ *http.Request) {
		f.serve = nil
		close(asked)
		http.Error(w, "no", http.StatusBadGateway)
	}
	p := f.provider(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	<-asked
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		if _, err := p.Begin(t.Context(), browser, "/"); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it is not found")
		}
	}
	cancel()
	must(t, <-ended)
}

func TestWhatAProviderMayNotSayOfItself(t *testing.T) {
	f := newForger(t)
	good := maps.Clone(f.says)
	for what, test := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"another name":            {set("issuer", "https://evil.example"), `calls itself "https://evil.example"`},
		"tokens without HTTPS":    {set("token_endpoint", "http://evil.example/token"), "without HTTPS"},
		"people without HTTPS":    {set("authorization_endpoint", "http://evil.example/auth"), "without HTTPS"},
		"people to a script":      {set("authorization_endpoint", "javascript:alert(1)"), "is no address"},
		"signing out by a script": {set("end_session_endpoint", "javascript:alert(1)"), "is no address"},
		"no keys":                 {unset("jwks_uri"), "is no address"},
		"a number for a scope":    {set("scopes_supported", 5), "can't be read"},
	} {
		f.mu.Lock()
		f.says = maps.Clone(good)
		test.change(f.says)
		f.mu.Unlock()
		if _, err := f.provider(t).Check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
	}
	block := make(chan struct{})
	defer close(block)
	for what, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"a page":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>"+strings.Repeat("x", 5000)) }, "Content-Type"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, "more than 1048576 bytes"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/x", http.StatusFound)
		}, "redirects to https://evil.example"},
		"redirects to itself": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "again and again"},
	} {
		f.mu.Lock()
		f.serve = test.serve
		f.mu.Unlock()
		if _, err := f.provider(t).Check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 600 {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
	}
	f.mu.Lock()
	f.serve = func(http.ResponseWriter, *http.Request) { <-block }
	f.mu.Unlock()
	p := f.provider(t)
	p.Patience(50 * time.Millisecond)
	if _, err := p.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("one that hangs: %v", err)
	}
	if _, err := f.provider(t, func(c *oidc.Config) { c.CAFile = "" }).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("one whose authority is not known: %v", err)
	}
}

func TestScopesThatAreAskedFor(t *testing.T) {
	f := newForger(t)
	for what, test := range map[string]struct {
		has, given []string
		want       string
	}{
		"a provider that has all":    {[]string{"openid", "groups", "offline_access", "address"}, nil, "openid profile email groups offline_access"},
		"one that says nothing":      {nil, nil, "openid profile email"},
		"what is given":              {[]string{"groups"}, []string{"openid", "roles"}, "openid roles"},
		"what is given, without one": {nil, []string{"roles"}, "openid roles"},
	} {
		f.says["scopes_supported"] = test.has
		if got := f.begin(t, f.provider(t, func(c *oidc.Config) { c.Scopes = test.given })).Get("scope"); got != test.want {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
}
