package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// The statuses of errors that renewals tell apart.
const (
	statusAway     = http.StatusServiceUnavailable // the provider doesn't do its part
	statusNoAccess = http.StatusForbidden          // it does, and the person has no business here
)

// SignInError is why a person is not signed in.
type SignInError struct {
	Status int    // of the answer that says so
	Says   string // to the person; what came from outside in it is short, and has nothing that a terminal would obey
	Err    error  // for the log, without codes, tokens and secrets; nil where Says is all there is
}

// Error is for the log.
func (r *SignInError) Error() string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return r.Says
}

// Unwrap is the cause.
func (r *SignInError) Unwrap() error { return r.Err }

func refuse(status int, err error, format string, a ...any) error {
	return &SignInError{status, fmt.Sprintf(format, a...), err}
}

// away refuses because the provider doesn't do its part.
func (p *Provider) away(err error) error {
	return refuse(statusAway, err, "%s can't be reached, or doesn't answer as it should: nobody can be signed in by it. The console's log says why. Try again in a while.", p.Name())
}

// Begin begins a sign-in of a browser, which is known by a key in its cookie, and returns where it goes: to the provider. Next is
// the path that the person wants to go on to.
func (p *Provider) Begin(ctx context.Context, browser, next string) (string, error) {
	f, err := p.get(ctx)
	if err != nil {
		return "", p.away(err)
	}
	if len(next) > nextMost {
		next = "/"
	}
	at := attempt{browser: digestOf(browser), nonce: newKey(), verifier: oauth2.GenerateVerifier(), next: next}
	state := p.attempts.begin(at, p.now())
	return p.oauth(f, "").AuthCodeURL(state, goidc.Nonce(at.nonce), oauth2.S256ChallengeOption(at.verifier)), nil
}

func (p *Provider) oauth(f *found, secret string) *oauth2.Config {
	return &oauth2.Config{ClientID: p.config.ClientID, ClientSecret: secret, Endpoint: f.endpoint, RedirectURL: p.config.ConsoleURL + CallbackPath, Scopes: f.scopes}
}

// answerMost bounds, in bytes, what a browser may bring back as state or code.
const answerMost = 4 << 10

// Finish ends a sign-in with what the browser brought back from the provider, and returns who it is and the path to go on to.
// Errors are *SignInError.
func (p *Provider) Finish(ctx context.Context, browser string, back url.Values) (*Login, string, error) {
	state, code := back.Get("state"), back.Get("code")
	at, known := attempt{}, false
	if len(state) <= answerMost {
		at, known = p.attempts.take(state, browser, p.now())
	}
	if !known {
		return nil, "", refuse(http.StatusBadRequest, nil, "This sign-in was not begun in this browser, has ended already, or took longer than %.0f minutes: nobody was signed in. Begin again.", AttemptTime.Minutes())
	}
	if problem := back.Get("error"); problem != "" {
		return nil, "", refuse(statusNoAccess, nil, "%s did not sign you in: %s", p.Name(), told(problem, back.Get("error_description")))
	}
	if iss := back.Get("iss"); iss != "" && iss != p.config.IssuerURL {
		return nil, "", refuse(http.StatusBadRequest, fmt.Errorf("the answer is of the issuer %q", clean(iss)), "The answer is of another provider than %s: nobody was signed in.", p.Name())
	}
	if code == "" || len(code) > answerMost {
		return nil, "", refuse(http.StatusBadRequest, nil, "%s sent you back without a code that can be read: nobody was signed in. Begin again.", p.Name())
	}
	f, err := p.get(ctx)
	if err != nil {
		return nil, "", p.away(err)
	}
	token, err := p.exchange(ctx, f, code, at.verifier)
	if err != nil {
		return nil, "", err
	}
	who, err := p.identify(ctx, f, token, at.nonce)
	if err != nil {
		return nil, "", err
	}
	return p.newLogin(who, token.RefreshToken, at.nonce), at.next, nil
}

// exchange has the provider give tokens for a code.
func (p *Provider) exchange(ctx context.Context, f *found, code, verifier string) (*oauth2.Token, error) {
	secret, err := p.config.secret()
	if err != nil {
		return nil, p.away(err)
	}
	token, err := p.oauth(f, secret.Reveal()).Exchange(p.in(ctx), code, oauth2.VerifierOption(verifier))
	if err == nil {
		return token, nil
	}
	err = tokenError(err, secret.Reveal(), code, verifier)
	var no *refusedError
	if errors.As(err, &no) && no.code == "invalid_grant" { // it was used, or is of another sign-in
		return nil, refuse(http.StatusBadRequest, err, "%s doesn't take the code that it sent you back with: nobody was signed in. Begin again.", p.Name())
	}
	return nil, p.away(err)
}

// refusedError is an answer of the token endpoint that gives none.
type refusedError struct{ code, says string }

// Error is what the provider said.
func (e *refusedError) Error() string { return "the provider gives no token: " + e.says }

// tokenError is an error of the token endpoint without the answer's body, which may hold anything, and without the secrets that
// it was sent, which its words may repeat.
func tokenError(err error, secrets ...string) error {
	var no *oauth2.RetrieveError
	if !errors.As(err, &no) {
		return fmt.Errorf("asking the provider for a token: %s", clean(without(plainError(err).Error(), secrets)))
	}
	if no.ErrorCode == "" {
		return fmt.Errorf("asking the provider for a token: it answers %s", clean(without(no.Response.Status, secrets)))
	}
	return &refusedError{no.ErrorCode, told(without(no.ErrorCode, secrets), without(no.ErrorDescription, secrets))}
}

// without is a text from outside without secrets that it repeats.
func without(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}

// told is an error as a provider words it.
func told(code, description string) string {
	if description == "" {
		return clean(code)
	}
	return clean(code) + ": " + clean(description)
}
