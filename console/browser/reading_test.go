package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestTimesAreInTheReadersZone: how long ago it was is read, and the moment itself, in the zone and as it is recorded, is shown on hover.
func TestTimesAreInTheReadersZone(t *testing.T) {
	i := newInstallation(t, 1)
	id := i.rollout(t, 5, messages.RolloutDone, 1, func(r *messages.RolloutRecord) { r.Opened = time.Date(2026, 1, 2, 20, 4, 5, 0, time.UTC) })
	ctx := chromium(t)
	do(ctx, t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"})
		return err
	}))
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production/rollouts"), has(id), until(`document.querySelector("time[datetime='2026-01-02T20:04:05Z']").title.startsWith("1/3/2026, 1:34:05")`))
	const opened = `document.querySelector("time[datetime='2026-01-02T20:04:05Z']")`
	if title := ask[string](ctx, t, opened+".title"); !strings.HasSuffix(title, "(2026-01-02T20:04:05Z)") {
		t.Errorf("on hover it shows %q", title)
	}
	if text := ask[string](ctx, t, opened+".textContent"); !strings.Contains(text, "day") {
		t.Errorf("it says %q", text)
	}
}

// scripts has pages of a site run their scripts, or none.
func scripts(run bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
		return err
	})
}

// TestEverythingWorksWithoutAScript: signing in, reading, filtering and deciding, with times as they are recorded.
func TestEverythingWorksWithoutAScript(t *testing.T) {
	i := newInstallation(t, 30)
	running, done, _ := i.past(t, 30)
	build, _ := i.built(t)
	ctx := chromium(t)
	do(ctx, t, scripts(false))
	signIn(ctx, t, i)
	do(ctx, t, has("Without scripts this page doesn't change by itself"), has("permission denied"), chromedp.Navigate(i.url+"/fleets/production"), has("1 to 30 of 30 nodes"),
		chromedp.SendKeys(`input[name="text"]`, "permission"), chromedp.Click("form.filter button"), has("1 to 1 of 1 node"), chromedp.Click(".cells a"), has("engine: permission denied"))
	for path, text := range map[string]string{
		"/rollouts/" + running: "1 to 30 of 30 members", "/rollouts/" + done: "ada: approve", "/fleets/production/history": "Make this current again", "/builds": "Place 1 of 1",
		"/builds/" + build: "apt-get install", "/dead-letters": "fenceline-requests-42",
	} {
		queuetest.Eventually(t, path+" has "+text, func() bool { // it does not change by itself
			do(ctx, t, chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			return ask[bool](ctx, t, fmt.Sprintf("document.body.innerText.includes(%q)", text))
		})
		if said := ask[string](ctx, t, `[...document.querySelectorAll("time")].map(e => e.textContent).find(s => !/^\d{4}-\d\d-\d\d \d\d:\d\d UTC$/.test(s)) ?? ""`); said != "" {
			t.Errorf("%s has the time %q", path, said)
		}
	}
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), chromedp.Click(`a[href="/fleets/production/hold"]`), has("What it will do"), chromedp.SendKeys("#reason", "freeze"),
		chromedp.Click("button.decide"), has("Done: Fleet production is held"), has("Held by ada"), chromedp.Click("header button"), has("Sign in"))
}

// tabTo presses Tab until what has the focus is of a kind.
func tabTo(ctx context.Context, t *testing.T, selector string) {
	t.Helper()
	for range 60 {
		do(ctx, t, chromedp.KeyEvent(kb.Tab))
		if ask[bool](ctx, t, `document.activeElement.matches("`+selector+`")`) {
			return
		}
	}
	t.Fatalf("Tab does not lead to %s, but to %s", selector, ask[string](ctx, t, "document.activeElement.outerHTML"))
}

// TestTheKeyboardAloneWillDo to sign in, to get to a node, and to decide. What has the focus is seen to have it.
func TestTheKeyboardAloneWillDo(t *testing.T) {
	i := newInstallation(t, 30)
	ctx := chromium(t)
	do(ctx, t, chromedp.Navigate(i.url+"/"), until(`document.activeElement.id === "token"`), chromedp.KeyEvent(i.token+kb.Enter), has("permission denied"))
	seen := func(what string) {
		t.Helper()
		if !ask[bool](ctx, t, `parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2`) {
			t.Errorf("%s does not show that it has the focus", what)
		}
	}
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), has("1 to 30 of 30 nodes"))
	tabTo(ctx, t, ".skip")
	seen("the way past the head")
	do(ctx, t, chromedp.KeyEvent(kb.Enter), until(`location.hash === "#main"`))
	tabTo(ctx, t, "a[href='#below']")
	tabTo(ctx, t, ".cells a")
	seen("a node")
	do(ctx, t, chromedp.KeyEvent(kb.ArrowRight+kb.ArrowRight+kb.ArrowRight), until(`document.activeElement.id === "n-node-00003"`), chromedp.KeyEvent(kb.Home),
		until(`document.activeElement.id === "n-node-00000"`), chromedp.KeyEvent(kb.End), until(`document.activeElement.id === "n-node-00029"`),
		until(`document.getElementById("says").textContent.startsWith("node-00029")`), chromedp.KeyEvent(kb.Enter), until(`location.pathname.endsWith("/nodes/node-00029")`),
		chromedp.Navigate(i.url+"/fleets/production"), has("Promote"))
	tabTo(ctx, t, "a[href='/fleets/production/hold']")
	seen("a decision")
	do(ctx, t, chromedp.KeyEvent(kb.Enter), has("What it will do"))
	tabTo(ctx, t, "#reason")
	do(ctx, t, chromedp.KeyEvent("freeze"))
	tabTo(ctx, t, "button.decide")
	do(ctx, t, chromedp.KeyEvent(kb.Enter), has("Done: Fleet production is held"))
	if h := i.fleet(t).Hold; h == nil || h.Reason != "freeze" {
		t.Errorf("the hold is %+v", h)
	}
}

// TestNATSAwayAndBack: an open page says so, and goes on by itself.
func TestNATSAwayAndBack(t *testing.T) {
	i := newInstallation(t, 6)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), has("1 to 6 of 6 nodes"))
	_ = ask[int](ctx, t, "window.kept = 1; 0")
	i.nats.Stop()
	do(ctx, t, has("NATS can't be reached since"), has("1 to 6 of 6 nodes"))
	usable(ctx, t, "a page while NATS is away")
	i.nats.Resume(t)
	do(ctx, t, until(`document.getElementById("banner").textContent.trim() === ""`))
	queuetest.Back(t, i.admin)
	i.declare(t) // heartbeats were in memory
	i.node(t, 0, func(s *messages.NodeStatus) { s.Engine.Error = "gone" })
	do(ctx, t, until(`document.getElementById("n-node-00000").className.startsWith("behind") && document.getElementById("n-node-00000").getAttribute("aria-label").includes("gone")`))
	if !ask[bool](ctx, t, "window.kept === 1") {
		t.Error("the page was loaded again")
	}
	i.nats.Stop()
	do(ctx, t, has("NATS can't be reached since"), chromedp.Navigate(i.url+"/fleets/production/hold"), has("nothing can be decided"))
	usable(ctx, t, "a decision while NATS is away")
}

// TestTheConsoleAwayAndBack: a page whose stream is cut says so, and goes on with what it has missed.
func TestTheConsoleAwayAndBack(t *testing.T) {
	i := newInstallation(t, 6)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), has("1 to 6 of 6 nodes"))
	i.node(t, 1, func(s *messages.NodeStatus) { s.Engine.Error = "gone" })
	do(ctx, t, until(`document.getElementById("n-node-00001").className.startsWith("behind")`)) // its stream is open
	_ = ask[int](ctx, t, `window.kept = 1; new MutationObserver(() => { if (!document.getElementById("lost").hidden) window.said = 1; }).observe(document.getElementById("lost"), { attributes: true }); 0`)
	i.server.CloseClientConnections()
	i.node(t, 2, func(s *messages.NodeStatus) { s.Engine.Error = "gone" })
	do(ctx, t, until(`window.said === 1 && document.getElementById("lost").hidden`), until(`document.getElementById("n-node-00002").className.startsWith("behind")`))
	if !ask[bool](ctx, t, "window.kept === 1") {
		t.Error("the page was loaded again")
	}
}
