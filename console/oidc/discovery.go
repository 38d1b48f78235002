package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
	"golang.org/x/oauth2"
)

const (
	// lookAgain is how long a provider that can't be reached is left alone before it is asked again, lookMost how long at most.
	lookAgain, lookMost = 2 * time.Second, time.Minute
	// lookAfresh is how often a provider is asked anew what it says of itself: it may have moved an endpoint, or taken a key back.
	lookAfresh = time.Hour
	// skewMost is how far the provider's clock may be behind or ahead.
	skewMost = time.Minute
)

// found is what a provider says of itself, and what is asked of it.
type found struct {
	provider   *goidc.Provider
	verifier   *goidc.IDTokenVerifier
	endpoint   oauth2.Endpoint
	scopes     []string
	endSession string // where people are signed out there; "" for nowhere
}

// Provider signs people in by an OpenID Connect provider.
type Provider struct {
	config   Config
	client   *http.Client
	attempts attempts
	now      func() time.Time // that sign-ins and sessions go by; tokens go by the time of day

	looking sync.Mutex // held while it is asked

	mu      sync.Mutex
	found   *found
	tried   time.Time
	problem error // of the last look
}

// New makes a provider. It is asked for nothing yet: it may be away. Errors are *FieldError.
func New(c Config) (*Provider, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	p := &Provider{config: c, client: client, now: time.Now}
	p.attempts.all = map[digest]attempt{}
	return p, nil
}

// Run looks up what the provider says of itself, again and again until it answers, and anew from time to time, until ctx ends.
func (p *Provider) Run(ctx context.Context) error {
	for wait := lookAgain; ; {
		if _, err := p.look(ctx, 0); err != nil {
			wait = min(2*wait, lookMost)
		} else {
			wait = lookAfresh
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if wait == lookAfresh {
			wait = lookAgain
		}
	}
}

// Check asks the provider what it says of itself, and returns the scopes that people would be asked for.
func (p *Provider) Check(ctx context.Context) (scopes []string, err error) {
	f, err := p.look(ctx, 0)
	if err != nil {
		return nil, err
	}
	return f.scopes, nil
}

// Name is what people call the provider.
func (p *Provider) Name() string { return p.config.ProviderName }

// URL is the address at which browsers reach the console.
func (p *Provider) URL() string { return p.config.ConsoleURL }

// HTTPS tells whether browsers reach the console by HTTPS.
func (p *Provider) HTTPS() bool { return strings.HasPrefix(p.config.ConsoleURL, "https://") }

// Away tells whether the provider has not said yet where people sign in, though it was asked.
func (p *Provider) Away() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found == nil && p.problem != nil
}

// SignOutURL is where people are signed out of the provider, too, and come back from; "" where it has no such page.
func (p *Provider) SignOutURL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil || p.found.endSession == "" {
		return ""
	}
	u, err := url.Parse(p.found.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.config.ClientID)
	q.Set("post_logout_redirect_uri", p.config.ConsoleURL+"/sign-in")
	u.RawQuery = q.Encode()
	return u.String()
}

// get is what the provider says of itself, asked for where it is not known.
func (p *Provider) get(ctx context.Context) (*found, error) {
	p.mu.Lock()
	f := p.found
	p.mu.Unlock()
	if f != nil {
		return f, nil
	}
	return p.look(ctx, lookAgain)
}

// look asks the provider, one at a time, unless that was done less than so long ago. What it said before holds while it is away.
func (p *Provider) look(ctx context.Context, rest time.Duration) (*found, error) {
	p.looking.Lock()
	defer p.looking.Unlock()
	p.mu.Lock()
	f, problem, recent := p.found, p.problem, p.now().Sub(p.tried) < rest
	p.mu.Unlock()
	if recent && (f != nil || problem != nil) {
		return f, problem
	}
	fresh, err := p.ask(ctx)
	if ctx.Err() != nil {
		return f, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && (p.problem == nil || p.problem.Error() != err.Error()) {
		says := "nobody can sign in by the OpenID Connect provider yet: it is asked again and again; tokens are good"
		if p.found != nil {
			says = "the OpenID Connect provider can't be asked anew: what it said of itself before counts"
		}
		p.config.Logger.Warn().Err(err).Msg(says)
	}
	if err == nil && (p.found == nil || p.problem != nil) {
		p.config.Logger.Info().Str("issuer", p.config.IssuerURL).Strs("scopes", fresh.scopes).Msg("people can sign in by the OpenID Connect provider")
	}
	p.tried, p.problem = p.now(), err
	if err == nil {
		p.found = fresh
	}
	return p.found, err
}

// says is what a provider says of itself beside what go-oidc keeps.
type says struct {
	Keys       string   `json:"jwks_uri"`
	EndSession string   `json:"end_session_endpoint"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	Scopes     []string `json:"scopes_supported"`
	Auth       []string `json:"token_endpoint_auth_methods_supported"`
}

// ask asks the provider what it says of itself.
func (p *Provider) ask(ctx context.Context) (*found, error) {
	provider, err := goidc.NewProvider(p.in(ctx), p.config.IssuerURL)
	var other *goidc.IssuerMismatchError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("the OpenID Connect provider calls itself %q, and not %q: give the issuer as it does, to the letter", messages.Shorten(other.Discovered, shown), p.config.IssuerURL)
	case err != nil:
		return nil, fmt.Errorf("asking the OpenID Connect provider %s what it says of itself: %s", p.config.IssuerURL, clean(plainError(err).Error()))
	}
	var s says
	if err := provider.Claims(&s); err != nil {
		return nil, fmt.Errorf("the OpenID Connect provider %s says of itself what can't be read: %s", p.config.IssuerURL, clean(err.Error()))
	}
	f := &found{provider: provider, endpoint: provider.Endpoint(), scopes: p.scopes(s.Scopes), endSession: s.EndSession}
	for what, address := range map[string]string{
		"authorization_endpoint": f.endpoint.AuthURL, "token_endpoint": f.endpoint.TokenURL, "jwks_uri": s.Keys,
		"userinfo_endpoint": provider.UserInfoEndpoint(), "end_session_endpoint": f.endSession,
	} {
		if address == "" && (what == "userinfo_endpoint" || what == "end_session_endpoint") {
			continue
		}
		if err := p.checkEndpoint(address); err != nil {
			return nil, fmt.Errorf("the OpenID Connect provider %s has the %s %q: %w", p.config.IssuerURL, what, clean(address), err)
		}
	}
	f.endpoint.AuthStyle = oauth2.AuthStyleInHeader // what it is where a provider doesn't say
	if p.config.ClientSecretFile == "" || len(s.Auth) > 0 && !slices.Contains(s.Auth, "client_secret_basic") {
		f.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	f.verifier = goidc.NewVerifier(p.config.IssuerURL, keys{goidc.NewRemoteKeySet(p.in(context.WithoutCancel(ctx)), s.Keys)}, &goidc.Config{
		ClientID: p.config.ClientID, SupportedSigningAlgs: algorithms(s.Algorithms), Now: func() time.Time { return time.Now().Add(-skewMost) },
	})
	return f, nil
}

// algorithms are those that an ID token may be signed by: of the ones that the provider has, those with a key that it alone has.
// None, and HS256, whose key could be taken for its public one, are never among them.
func algorithms(has []string) []string {
	var out []string
	for _, a := range []string{goidc.RS256, goidc.RS384, goidc.RS512, goidc.ES256, goidc.ES384, goidc.ES512, goidc.PS256, goidc.PS384, goidc.PS512, goidc.EdDSA} {
		if slices.Contains(has, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return []string{goidc.RS256} // which every provider must have
	}
	return out
}

// checkEndpoint refuses an endpoint that is reached by less than the issuer is.
func (p *Provider) checkEndpoint(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("it is no address")
	}
	if issuer, err := url.Parse(p.config.IssuerURL); err == nil && u.Scheme != issuer.Scheme && u.Scheme != "https" {
		return errors.New("codes and tokens would go there without HTTPS")
	}
	return nil
}

// scopes are those that are asked for. A provider may refuse one that it doesn't have, so that those which not all have are asked
// for where it says that it has them: groups, and what renewals take.
func (p *Provider) scopes(has []string) []string {
	if len(p.config.Scopes) > 0 {
		return p.config.Scopes
	}
	out := []string{goidc.ScopeOpenID, goidc.ScopeProfile, goidc.ScopeEmail}
	for _, s := range []string{"groups", goidc.ScopeOfflineAccess} {
		if slices.Contains(has, s) {
			out = append(out, s)
		}
	}
	return out
}

// clean is a text from outside for people and logs: short, with nothing in it that a terminal would obey.
func clean(text string) string { return terminal.Visible(messages.Shorten(text, shown)) }
