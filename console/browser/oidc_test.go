package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/console"
	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/oidc/oidctest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// byOIDC signs a person in: from the console to the provider, which is of another site, and back.
func byOIDC(ctx context.Context, t *testing.T, i *installation, login string) {
	t.Helper()
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), has("Sign in with Example"), chromedp.Click("main a.button"),
		chromedp.WaitVisible("#login"), chromedp.SendKeys("#login", login), chromedp.Click("button"))
}

func TestSigningInByOIDC(t *testing.T) {
	at := oidctest.Start(t)
	for login, group := range map[string]string{"ada": "ops", "vera": "staff", "mallory": "<b>sales</b>"} {
		at.Put(oidctest.Person{Login: login, Email: login + "@example.com", Groups: []string{group}})
	}
	i := newInstallation(t, 6, func(c *console.Config, address string) {
		p, err := oidc.New(at.Config(t, address))
		queuetest.Must(t, err)
		c.OIDC = p
	})
	ctx := chromium(t)

	byOIDC(ctx, t, i, "mallory")
	do(ctx, t, has(`none of the groups that may use this console. The claim "groups" has "<b>sales</b>"`))
	usable(ctx, t, "a refusal")

	byOIDC(ctx, t, i, "vera")
	do(ctx, t, has("vera@example.com (viewer)"), has("6 nodes"))
	if at := ask[string](ctx, t, "location.pathname"); at != "/fleets/production" {
		t.Errorf("she is led to %s", at)
	}
	if ask[bool](ctx, t, `!!document.querySelector('a[href="/fleets/production/hold"]')`) {
		t.Error("a viewer is shown a decision")
	}
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production/hold"), has("You are signed in as a viewer"), chromedp.Click("header button"), has("Sign out of the provider, too"))
	usable(ctx, t, "signed out")
	do(ctx, t, chromedp.Click(`a[href*="/end_session"]`), until("location.pathname === '/sign-in' && location.search === ''"), has("Sign in with Example"))

	at.Lifetime(2 * time.Second)
	byOIDC(ctx, t, i, "ada")
	do(ctx, t, has("ada@example.com (operator)"), chromedp.Navigate(i.url+"/fleets/production/hold"), has("What it will do"), chromedp.SendKeys("#reason", "freeze"), chromedp.Click("button.decide"),
		has("Done: Fleet production is held"), has("Held by ada@example.com (OIDC)"))
	e, err := store.Fleets(i.admin).Current(t.Context(), "production")
	if err != nil || e.Value.Hold == nil || e.Value.Hold.By != "ada@example.com (OIDC)" {
		t.Errorf("it is held by %+v, %v", e.Value.Hold, err)
	}
	// The page is open while the provider strikes her.
	at.Remove("ada")
	do(ctx, t, has("Your session has ended. Example doesn't stand by it any more that you may be signed in."))
	// Whoever comes back to it is told so again, and not that the console can't be reached.
	ask[bool](ctx, t, `(() => {
		document.getElementById("over").hidden = true;
		for (const away of [true, false]) {
			Object.defineProperty(document, "hidden", { value: away, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
		}
		return true;
	})()`)
	do(ctx, t, until(`!document.getElementById("over").hidden && document.getElementById("lost").hidden`), chromedp.Navigate(i.url+"/"), has("Sign in with Example"))
	if n := strings.Count(strings.Join(at.Requests(), "\n"), "/oauth/token"); n < 3 {
		t.Errorf("the provider was asked for tokens %d times", n)
	}
}
