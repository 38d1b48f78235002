package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/fenceline/fenceline/console/oidc"
)

// viaOIDC is by what people have signed in whom an OpenID Connect provider knows.
const viaOIDC = "OIDC"

// oidcView is what the page to sign in shows of a provider.
type oidcView struct {
	Name    string
	Begin   string // where a sign-in begins: at the address that the provider sends people back to, whose cookie it takes
	Away    bool   // it has not answered yet
	SignOut string // where people who have just signed out here do so there, too; "" for nowhere
}

// oidcView is that of a request; nil where there is no provider.
func (c *Console) oidcView(r *http.Request) *oidcView {
	if c.oidc == nil {
		return nil
	}
	v := &oidcView{Name: c.oidc.Name(), Away: c.oidc.Away(), Begin: c.oidc.URL() + "/sign-in/oidc?next=" + url.QueryEscape(local(r.FormValue("next")))}
	if Ending(r.FormValue("ended")) == endedHere {
		v.SignOut = c.oidc.SignOutURL()
	}
	return v
}

// browserCookie tells browsers apart that have begun a sign-in at the provider: it ends where it began. Over HTTPS no other host
// of the domain can set it.
func (c *Console) browserCookie(value string) *http.Cookie {
	k := &http.Cookie{Name: "fenceline_sign_in", Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(oidc.AttemptTime.Seconds())}
	if c.oidc.HTTPS() {
		k.Name, k.Secure = "__Host-"+k.Name, true
	}
	return k
}

// browserOf is the key of a request's browser; "" where it has none.
func (c *Console) browserOf(r *http.Request) string {
	k, err := r.Cookie(c.browserCookie("").Name)
	if err != nil || len(k.Value) != len(newKey()) {
		return ""
	}
	return k.Value
}

// beginOIDC sends a browser to the provider.
func (c *Console) beginOIDC(w http.ResponseWriter, r *http.Request) {
	if c.oidc == nil {
		c.fail(w, r, nil, http.StatusNotFound, "This console has no OpenID Connect provider.")
		return
	}
	if !c.starts.allow(origin(c.sender(r))) {
		c.tooMany(w, r)
		return
	}
	browser := c.browserOf(r)
	if browser == "" {
		browser = newKey()
	}
	to, err := c.oidc.Begin(r.Context(), browser, local(r.FormValue("next")))
	if err != nil {
		c.refuseOIDC(w, r, err)
		return
	}
	http.SetCookie(w, c.browserCookie(browser))
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // to the provider that the operator named
}

// finishOIDC takes a browser that the provider sent back.
func (c *Console) finishOIDC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code
	if c.oidc == nil {
		c.fail(w, r, nil, http.StatusNotFound, "This console has no OpenID Connect provider.")
		return
	}
	if !c.mayTry(w, r) {
		return
	}
	login, next, err := c.oidc.Finish(r.Context(), c.browserOf(r), r.URL.Query())
	if err != nil {
		c.refuseOIDC(w, r, err)
		return
	}
	c.log.Info().Str("by", login.Name).Str("subject", login.Subject).Str("from", c.sender(r)).Msg("the OpenID Connect provider knows a person")
	c.enterAs(w, r, Person{
		Name: login.Name, Role: login.Role, Via: viaOIDC, https: c.oidc.HTTPS(),
		Still: func(ctx context.Context) Ending { return Ending(login.Still(ctx)) },
	}, local(next))
}

// refuseOIDC says why nobody is signed in.
func (c *Console) refuseOIDC(w http.ResponseWriter, r *http.Request, err error) {
	c.log.Warn().Err(err).Str("from", c.sender(r)).Msg("a sign-in was refused: OpenID Connect")
	status, says := http.StatusServiceUnavailable, "Nobody can be signed in at the moment."
	if no := (*oidc.SignInError)(nil); errors.As(err, &no) {
		status, says = no.Status, no.Says
	}
	c.showSignIn(w, r, status, says)
}
