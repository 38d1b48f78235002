package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// Fields of a Config, as a FieldError names them.
const (
	FieldIssuerURL        = "OIDCIssuerURL"
	FieldClientID         = "OIDCClientID"
	FieldClientSecretFile = "OIDCClientSecretFile"
	FieldConsoleURL       = "ConsoleURL"
	FieldCAFile           = "OIDCCAFile"
	FieldScopes           = "OIDCScopes"
	FieldNameClaim        = "OIDCNameClaim"
	FieldGroupsClaim      = "OIDCGroupsClaim"
	FieldOperatorGroups   = "OIDCOperatorGroups"
	FieldViewerGroups     = "OIDCViewerGroups"
	FieldProviderName     = "OIDCProviderName"
)

// FieldError is an error about a field of a Config.
type FieldError struct {
	Fields []string
	Err    error
}

// Error is what is wrong, with the value and the fix.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *FieldError) Unwrap() error { return e.Err }

const (
	// DefaultNameClaim is the claim that names people in records, where none is named. A provider says of an address whether it
	// has verified it; of other names it doesn't.
	DefaultNameClaim = "email"
	// DefaultGroupsClaim is the claim with people's groups, where none is named.
	DefaultGroupsClaim = "groups"
	// CallbackPath is where the provider sends people back to.
	CallbackPath = "/sign-in/oidc/callback"
)

// Config says by whom people are signed in, and as what.
type Config struct {
	IssuerURL        string   // as the provider has it in its tokens, to the letter
	ClientID         string   // by which the provider knows the console
	ClientSecretFile string   // "" for a public client. It is read whenever the secret is needed
	ConsoleURL       string   // at which browsers reach the console: https://HOST
	CAFile           string   // authorities of the provider's certificate, beside the system's
	Scopes           []string // none: openid, profile and email, and of groups and offline_access those that the provider has
	NameClaim        string   // "" means DefaultNameClaim
	GroupsClaim      string   // "" means DefaultGroupsClaim
	OperatorGroups   []string // who may decide
	ViewerGroups     []string // who may look
	ProviderName     string   // for the page to sign in; "" means the issuer's host
	Logger           zerolog.Logger
}

func wrong(field, format string, a ...any) error {
	return &FieldError{[]string{field}, fmt.Errorf(format, a...)}
}

// complete finds what is wrong with a configuration, and fills in defaults.
func (c *Config) complete() error {
	if c.NameClaim == "" {
		c.NameClaim = DefaultNameClaim
	}
	if c.GroupsClaim == "" {
		c.GroupsClaim = DefaultGroupsClaim
	}
	issuer, err := safeURL(c.IssuerURL)
	if err != nil {
		return wrong(FieldIssuerURL, "the issuer of the OpenID Connect provider, %q: %w; its page /.well-known/openid-configuration has it as issuer", messages.Shorten(c.IssuerURL, shown), err)
	}
	if strings.HasSuffix(strings.TrimSuffix(issuer.Path, "/"), "/.well-known/openid-configuration") {
		return wrong(FieldIssuerURL, "the issuer %q is the page that names it: leave /.well-known/openid-configuration out", messages.Shorten(c.IssuerURL, shown))
	}
	if c.ProviderName == "" {
		c.ProviderName = issuer.Host
	}
	if len(c.ProviderName) > shown || strings.ContainsFunc(c.ProviderName, unseen) {
		return wrong(FieldProviderName, "the provider's name %q: give a short one, in letters that can be seen", messages.Shorten(c.ProviderName, shown))
	}
	if c.ClientID == "" || strings.ContainsFunc(c.ClientID, unseen) {
		return wrong(FieldClientID, "the client ID is missing, or has what can't be seen: %q; give the one by which the provider knows the console", messages.Shorten(c.ClientID, shown))
	}
	console, err := safeURL(c.ConsoleURL)
	if err == nil && strings.Trim(console.Path, "/") != "" {
		err = errors.New("it has a path: a console is served at /, give https://HOST")
	}
	if err != nil {
		return wrong(FieldConsoleURL, "the address at which browsers reach the console, %q: %w; the provider sends people back there", messages.Shorten(c.ConsoleURL, shown), err)
	}
	c.ConsoleURL = console.Scheme + "://" + console.Host
	if _, err := c.secret(); err != nil {
		return err
	}
	return c.completeClaims()
}

// completeClaims finds what is wrong with what is asked of people.
func (c *Config) completeClaims() error {
	for field, claim := range map[string]string{FieldNameClaim: c.NameClaim, FieldGroupsClaim: c.GroupsClaim} {
		if len(claim) > shown || strings.ContainsFunc(claim, unseen) {
			return wrong(field, "there is no claim %q: give its name as it stands in tokens, such as email, preferred_username, sub or groups", messages.Shorten(claim, shown))
		}
	}
	for _, s := range c.Scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return wrong(FieldScopes, "there is no scope %q: give one or more, such as openid,profile,email", messages.Shorten(s, shown))
		}
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, "openid") {
		c.Scopes = append([]string{"openid"}, c.Scopes...)
	}
	if len(c.OperatorGroups)+len(c.ViewerGroups) == 0 {
		return &FieldError{[]string{FieldOperatorGroups, FieldViewerGroups}, errors.New("no group of the OpenID Connect provider is operator or viewer, so that nobody could sign in: name one or more")}
	}
	for field, groups := range map[string][]string{FieldOperatorGroups: c.OperatorGroups, FieldViewerGroups: c.ViewerGroups} {
		for _, g := range groups {
			switch {
			case strings.TrimSpace(g) == "" || strings.ContainsFunc(g, func(r rune) bool { return r != ' ' && unseen(r) }):
				return wrong(field, "there is no group %q: give groups as the provider has them in the claim %s", messages.Shorten(g, shown), c.GroupsClaim)
			case strings.Contains(g, "*"):
				return wrong(field, "the group %q has a *: there are no patterns, so that nobody gets in by mistake; name each group", messages.Shorten(g, shown))
			}
		}
	}
	return nil
}

// secret reads the client's secret; it is empty for a public client.
func (c *Config) secret() (messages.Secret, error) {
	if c.ClientSecretFile == "" {
		return messages.NewSecret(""), nil
	}
	s, err := messages.ReadSecret(c.ClientSecretFile)
	if err == nil {
		if s, err = s.Word(); err != nil {
			err = fmt.Errorf("%s %w", c.ClientSecretFile, err)
		}
	}
	if err != nil {
		return s, wrong(FieldClientSecretFile, "the client's secret for the OpenID Connect provider: %w", err)
	}
	return s, nil
}

// shown is how much of a text from outside is shown or kept, in bytes.
const shown = 200

// safeURL reads an address that codes and tokens go to: by HTTPS, or on this machine.
func safeURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("it is missing: give https://HOST")
	case err != nil || u.Host == "" || u.Hostname() == "" || strings.ContainsFunc(text, unseen):
		return nil, errors.New("it is no address: give https://HOST")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it has a user, a query or a fragment: leave that out")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("codes and tokens go there: give https://HOST; http is for this machine alone (localhost, 127.0.0.1)")
}

// loopback tells whether a host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// unseen tells whether a rune is white space, or can't be seen.
func unseen(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }
