package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"golang.org/x/oauth2"
)

const (
	// nameMost is the longest name of a person, in bytes: it stands in records that every node reads.
	nameMost = 128
	// groupsShown is how many groups are shown to whoever has none that counts.
	groupsShown = 10
	// aheadMost is how far in the future a token may have been made by the console's clock.
	aheadMost = 5 * time.Minute
)

// identity is who a person is by the provider's word, and for how long it gives that.
type identity struct {
	subject, name string
	role          tokens.Role
	until         time.Time
	own           claims // of the ID token: those that tell name and role
}

// identify reads who was signed in. Errors are *SignInError.
func (p *Provider) identify(ctx context.Context, f *found, token *oauth2.Token, nonce string) (identity, error) {
	id, err := p.verify(ctx, f, token)
	if err != nil {
		return identity{}, err
	}
	if id.Nonce != nonce {
		return identity{}, p.untrusted(errors.New("the ID token has the nonce of another sign-in, or none"))
	}
	return p.read(ctx, f, id, token)
}

// untrusted refuses because of an ID token that is not what it must be.
func (p *Provider) untrusted(err error) error {
	return refuse(http.StatusBadGateway, err, "What %s says of you can't be trusted: nobody was signed in. The console's log says why.", p.Name())
}

// verify reads an answer's ID token, and finds whether it is the provider's, for the console, and good as yet.
func (p *Provider) verify(ctx context.Context, f *found, token *oauth2.Token) (*goidc.IDToken, error) {
	raw, is := token.Extra("id_token").(string)
	if !is {
		return nil, p.untrusted(errors.New("the answer has no ID token: the scopes must have openid"))
	}
	var unreachable error
	id, err := f.verifier.Verify(context.WithValue(ctx, keyProblem{}, &unreachable), raw)
	var over *goidc.TokenExpiredError
	switch {
	case unreachable != nil:
		return nil, p.away(fmt.Errorf("the provider's keys: %s", clean(plainError(unreachable).Error())))
	case errors.As(err, &over):
		err = fmt.Errorf("the ID token ended at %s, and it is %s here: see to the clocks", over.Expiry.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	case err != nil:
		err = errors.New(clean(err.Error()))
	case id.Subject == "" || len(id.Subject) > 255:
		err = errors.New("the ID token has no subject, or one that is too long")
	case time.Until(id.IssuedAt) > aheadMost:
		err = fmt.Errorf("the ID token was made at %s, and it is %s here: see to the clocks", id.IssuedAt.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		err = errors.New("the ID token is not of the access token that came with it (at_hash)")
	default:
		err = p.checkParty(id)
	}
	if err != nil {
		return nil, p.untrusted(err)
	}
	return id, nil
}

// checkParty refuses an ID token that was given to another client and is for this one, too.
func (p *Provider) checkParty(id *goidc.IDToken) error {
	var c struct {
		Party string `json:"azp"`
	}
	if err := id.Claims(&c); err != nil {
		return errors.New("the ID token's claims can't be read")
	}
	if c.Party != "" && c.Party != p.config.ClientID || c.Party == "" && len(id.Audience) > 1 {
		return fmt.Errorf("the ID token was given to another client (azp %q)", clean(c.Party))
	}
	return nil
}

// read reads name and role of an ID token, and from the provider's page about the person (UserInfo) what it leaves out.
func (p *Provider) read(ctx context.Context, f *found, id *goidc.IDToken, token *oauth2.Token) (identity, error) {
	var own, more claims
	if err := id.Claims(&own); err != nil {
		return identity{}, p.untrusted(errors.New("the ID token's claims can't be read"))
	}
	if p.leavesOut(own) {
		var err error
		if more, err = p.userInfo(ctx, f, id.Subject, token); err != nil {
			return identity{}, err
		}
	}
	return p.judge(id.Subject, own, more, p.now().Add(goodFor(id)))
}

// errOver tells that a provider which renews without ID tokens has to give another one.
var errOver = errors.New("the last ID token has ended")

// readAgain reads name and role where a renewal has no ID token, as OpenID Connect Core 12.2 allows: UserInfo has them. What it
// leaves out counts as the last ID token had it, for as long as that is good.
func (p *Provider) readAgain(ctx context.Context, f *found, l *Login, token *oauth2.Token) (identity, error) {
	more, err := p.userInfo(ctx, f, l.Subject, token)
	if err != nil {
		return identity{}, err
	}
	own, until := claims{}, p.now().Add(renewMost)
	for claim, had := range l.own {
		if own[claim] = more[claim]; len(own[claim]) == 0 {
			own[claim], until = had, l.tokenEnd
		}
	}
	if !p.now().Before(until) {
		return identity{}, errOver
	}
	return p.judge(l.Subject, own, more, until)
}

// judge finds name and role in the claims of an ID token, and in what else is said.
func (p *Provider) judge(subject string, own, more claims, until time.Time) (identity, error) {
	name, err := p.name(own, more)
	if err != nil {
		return identity{}, err
	}
	role, err := p.role(name, own, more)
	who := identity{subject: subject, name: name, role: role, until: until, own: claims{}}
	for _, claim := range p.wanted() {
		if len(own[claim]) > 0 {
			who.own[claim] = own[claim]
		}
	}
	return who, err
}

// wanted are the claims that tell name and role.
func (p *Provider) wanted() []string {
	if p.config.NameClaim == DefaultNameClaim {
		return []string{p.config.NameClaim, p.config.GroupsClaim, "email_verified"}
	}
	return []string{p.config.NameClaim, p.config.GroupsClaim}
}

// leavesOut tells whether an ID token leaves out what UserInfo may have.
func (p *Provider) leavesOut(own claims) bool {
	return slices.ContainsFunc(p.wanted(), func(c string) bool { return len(own[c]) == 0 && !(c == p.config.GroupsClaim && own.leftOut(c) != "") })
}

// goodFor is how long an ID token is good: as long as the provider gave it, from now on, whatever its clock shows.
func goodFor(id *goidc.IDToken) time.Duration {
	left, span := time.Until(id.Expiry), id.Expiry.Sub(id.IssuedAt)
	if id.IssuedAt.Unix() > 0 && span > 0 && span < left+skewMost {
		return span
	}
	return left
}

// userInfo asks for what the provider says of a person beside the ID token, where it has a page for that.
func (p *Provider) userInfo(ctx context.Context, f *found, subject string, token *oauth2.Token) (claims, error) {
	if f.provider.UserInfoEndpoint() == "" {
		return nil, nil
	}
	info, err := f.provider.UserInfo(p.in(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, p.away(fmt.Errorf("asking the provider about the person (UserInfo): %s", clean(without(plainError(err).Error(), []string{token.AccessToken}))))
	}
	if info.Subject != subject {
		return nil, p.untrusted(errors.New("what UserInfo says is of another person"))
	}
	var more claims
	if err := info.Claims(&more); err != nil {
		return nil, p.untrusted(errors.New("what UserInfo says can't be read"))
	}
	return more, nil
}

// claims are what the provider says of a person, by its name for it.
type claims map[string]json.RawMessage

// text is a claim that is a text; "" for none.
func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// texts is a claim that is one text or several.
func (c claims) texts(name string) ([]string, bool) {
	raw, there := c[name]
	if !there || string(raw) == "null" {
		return nil, true
	}
	var all []string
	if json.Unmarshal(raw, &all) == nil {
		return all, true
	}
	one := c.text(name)
	return []string{one}, one != ""
}

// verified tells whether the provider has verified the address, and whether it says so at all.
func (c claims) verified() (is, said bool) {
	switch string(c["email_verified"]) {
	case "true", `"true"`:
		return true, true
	case "":
		return false, false
	}
	return false, true
}

// leftOut is where a claim is to be fetched that had too much for the token; "" where it was not left out.
func (c claims) leftOut(name string) string {
	var names map[string]string
	var sources map[string]struct {
		Endpoint string `json:"endpoint"`
	}
	if json.Unmarshal(c["_claim_names"], &names) == nil && names[name] != "" {
		_ = json.Unmarshal(c["_claim_sources"], &sources)
		return cmp.Or(sources[names[name]].Endpoint, "another place")
	}
	if name == "groups" && string(c["hasgroups"]) == "true" {
		return "another place"
	}
	return ""
}

// name is what records call a person. It is of one claim alone: another one in its place could be chosen by the person, so that
// they are taken for somebody else.
func (p *Provider) name(own, more claims) (string, error) {
	claim := p.config.NameClaim
	from := own
	if own.text(claim) == "" {
		from = more
	}
	name := from.text(claim)
	if name == "" {
		return "", refuse(statusNoAccess, nil, "%s doesn't say who you are: there is no claim %q in what it says. An administrator has the scope for it asked for, or names another claim in the console's settings.", p.Name(), claim)
	}
	if err := checkName(name); err != nil {
		return "", refuse(statusNoAccess, nil, "Your name at %s can't stand in records: the claim %q is %q, which %s.", p.Name(), claim, clean(name), err)
	}
	if claim != DefaultNameClaim {
		return name, nil
	}
	is, said := from.verified()
	if !said && more.text(claim) == name {
		is, said = more.verified()
	}
	switch {
	case is:
		return name, nil
	case said:
		return "", refuse(statusNoAccess, nil, "%s has not verified your address %s: it is taken for nobody's name. Verify it there, then sign in again.", p.Name(), clean(name))
	}
	return "", refuse(statusNoAccess, nil, "%s doesn't say whether your address %s is verified (email_verified), so that it could be anybody's. An administrator has it said, or names another claim in the console's settings.", p.Name(), clean(name))
}

// checkName refuses a name that is not the same to everybody who reads it.
func checkName(name string) error {
	if len(name) > nameMost {
		return fmt.Errorf("has more than %d bytes", nameMost)
	}
	for _, r := range name {
		if r <= ' ' || r > '~' || strings.ContainsRune(`<>"\()`, r) {
			return errors.New("has more than letters, digits and signs of ASCII")
		}
	}
	return nil
}

// role is what a person may do by their groups.
func (p *Provider) role(name string, own, more claims) (tokens.Role, error) {
	claim := p.config.GroupsClaim
	from := own
	if len(own[claim]) == 0 && own.leftOut(claim) == "" && more != nil {
		from = more
	}
	if at := from.leftOut(claim); at != "" && len(from[claim]) == 0 {
		return "", refuse(statusNoAccess, nil, "You are in more groups than %s puts into a token: it refers to %s, which the console doesn't ask. An administrator has it put in the groups that are assigned to the console alone.", p.Name(), clean(at))
	}
	groups, readable := from.texts(claim)
	if !readable {
		return "", refuse(statusNoAccess, nil, "The claim %q of %s is neither a text nor a list of texts: an administrator names the claim with your groups in the console's settings.", claim, p.Name())
	}
	in := func(wanted []string) bool {
		return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(wanted, g) })
	}
	switch {
	case in(p.config.OperatorGroups):
		return tokens.Operator, nil
	case in(p.config.ViewerGroups):
		return tokens.Viewer, nil
	}
	return "", refuse(statusNoAccess, nil, "%s says that you are %s, and in none of the groups that may use this console. The claim %q has %s. Ask for one of the groups, or have it mapped in the console's settings.", p.Name(), clean(name), claim, listed(groups))
}

// listed are groups for people, of which there may be thousands.
func listed(groups []string) string {
	if len(groups) == 0 {
		return "no group"
	}
	var out []string
	for _, g := range groups[:min(len(groups), groupsShown)] {
		out = append(out, fmt.Sprintf("%q", clean(g)))
	}
	text := strings.Join(out, ", ")
	if more := len(groups) - groupsShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
