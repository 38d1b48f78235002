package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// signedIn serves those who have signed in; others are sent to do so, and come back.
func (c *Console) signedIn(serve func(http.ResponseWriter, *http.Request, *session)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ending := c.sessions.find(r)
		switch {
		case s != nil:
			c.keep(r.Context())
			serve(w, r, s)
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/events"):
			c.sayOver(w, ending)
		case r.Method == http.MethodGet:
			to := "/sign-in?next=" + url.QueryEscape(r.URL.RequestURI())
			if ending != "" {
				to += "&ended=" + url.QueryEscape(string(ending))
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
		default:
			c.fail(w, r, nil, http.StatusUnauthorized, "Your session has ended: nothing was done. "+c.says(ending)+" Sign in again, and look before you decide.")
		}
	})
}

var errViewer = errors.New("a viewer decides nothing")

// deciding serves a decision to those who may decide; of is nil where there is none of that name. What others try to decide is
// told as an event, as long as they don't try again and again: what is kept of those is bounded.
func (c *Console) deciding(of func(*http.Request) decision) http.Handler {
	return c.signedIn(func(w http.ResponseWriter, r *http.Request, s *session) {
		if s.mayDecide() {
			if err := readForm(r); err != nil {
				c.tellRefused(r, s, of(r), err)
				c.fail(w, r, s, statusOf(err), "Nothing was done: "+err.Error())
				return
			}
			c.serveDecision(w, r, s, of(r))
			return
		}
		d, by := of(r), s.person.By()
		c.log.Warn().Str("by", by).Str("path", r.URL.Path).Str("from", c.sender(r)).Msg("a decision was refused: the person is a viewer")
		if d != nil && r.Method == http.MethodPost && c.refused.allow(by) {
			c.tellRefused(r, s, d, errViewer)
		}
		c.fail(w, r, s, http.StatusForbidden, "You are signed in as a viewer, who sees everything and decides nothing. Ask for the role of an operator.")
	})
}

// signInView is what the page to sign in shows.
type signInView struct {
	view
	Next    string
	Problem string
	Link    bool // it signs in by a link
	Tokens  bool // there is a file of tokens
	OIDC    *oidcView
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	c.showSignIn(w, r, http.StatusOK, c.says(Ending(r.FormValue("ended"))))
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	c.write(w, status, "signin.html", signInView{view: c.view(r, nil, "Sign in"), Next: local(r.FormValue("next")), Problem: problem, Tokens: c.tokens != nil, OIDC: c.oidcView(r)})
}

// local is a path of the console to go on to, whatever was asked for.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// signIn takes a token.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	if !c.mayTry(w, r) {
		return
	}
	if c.tokens == nil {
		c.showSignIn(w, r, http.StatusForbidden, "This console has no file of tokens.")
		return
	}
	entry, known := c.tokens.Find(r.PostFormValue("token"))
	if !known {
		c.log.Warn().Str("from", c.sender(r)).Msg("a sign-in was refused: unknown token")
		c.showSignIn(w, r, http.StatusUnauthorized, "That is no token of this console: it may have been revoked. 'fenceline console token' makes one.")
		return
	}
	c.enterAs(w, r, Person{Name: entry.Name, Role: entry.Role, Via: "token", Still: func(context.Context) Ending {
		if c.tokens.Holds(entry) {
			return ""
		}
		return endedByRevocation
	}}, local(r.PostFormValue("next")))
}

// mayTry tells whether another sign-in may be tried from where a request is from, and says so where not.
func (c *Console) mayTry(w http.ResponseWriter, r *http.Request) bool {
	if c.tries.allow(origin(c.sender(r))) {
		return true
	}
	c.tooMany(w, r)
	return false
}

func (c *Console) tooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "10")
	c.showSignIn(w, r, http.StatusTooManyRequests, "Too many sign-ins were tried from your address: wait ten seconds.")
}

// enterAs begins a session.
func (c *Console) enterAs(w http.ResponseWriter, r *http.Request, p Person, next string) {
	c.sessions.begin(w, r, p)
	c.log.Info().Str("by", p.By()).Str("role", string(p.Role)).Str("via", p.Via).Str("from", c.sender(r)).Msg("signed in")
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // a path of this console: see its callers
}

// enterPage asks before it uses up a link: what looks ahead at links must not.
func (c *Console) enterPage(w http.ResponseWriter, r *http.Request) {
	c.write(w, http.StatusOK, "signin.html", signInView{view: c.view(r, nil, "Sign in"), Link: true})
}

// enter takes a link.
func (c *Console) enter(w http.ResponseWriter, r *http.Request) {
	if !c.mayTry(w, r) {
		return
	}
	p, known := c.sessions.accept(r.PathValue("key"))
	if !known {
		c.log.Warn().Str("from", c.sender(r)).Msg("a sign-in was refused: the link is unknown, used or over")
		c.showSignIn(w, r, http.StatusUnauthorized, "This link has been used, or is over: start 'fenceline up' again for another, or sign in by a token.")
		return
	}
	c.enterAs(w, r, p, "/")
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	to := "/sign-in"
	if s := c.sessions.end(r); s != nil {
		if s.person.Via == viaOIDC {
			to += "?ended=" + string(endedHere)
		}
		c.log.Info().Str("by", s.person.By()).Msg("signed out")
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure(r), MaxAge: -1}) //nolint:gosec // Secure where the browser came by HTTPS
	http.Redirect(w, r, to, http.StatusSeeOther)
}
