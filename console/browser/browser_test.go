// Package browser tests the console's pages in a real Chromium, as people see them.
package browser

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/console"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/imagediff"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// axe finds what keeps people from using a page. It is axe-core 4.14.1 as npm has it; its licences lie beside it.
//
//go:embed testdata/axe.min.js
var axe string

func image(n int) messages.Image {
	return messages.Image(fmt.Sprintf("registry.example.com/base@sha256:%064d", n))
}

// installation is a console over real records.
type installation struct {
	url, token string
	admin      *queue.Client
	nats       *queuetest.Server
	server     *httptest.Server
	proxy      *queuetest.Proxy // that the console's way to NATS goes through
}

// newInstallation has a fleet with so many nodes, of which some have troubles, a rollout that waits for a person, and a build that
// failed.
func newInstallation(t *testing.T, nodes int, change ...func(c *console.Config, at string)) *installation {
	t.Helper()
	i := newFleet(t, change...)
	r := messages.RolloutRecord{
		ID: "production-base-3", Fleet: "production", State: messages.RolloutApproval, Why: "everything holds but a person's word", Policy: messages.DefaultPolicy(),
		Members: []string{"node-00000"}, Canaries: []string{"node-00000"}, Opened: time.Now().UTC(), Updated: time.Now().UTC(),
		Trials: map[string]messages.TrialResult{"node-00000": {Passed: true, Hooks: []messages.HookRun{{Hook: "pre-start", Output: "<b>ok</b>"}}}},
	}
	r.Policy.Approval = true
	r.Ready.BuildRef = messages.BuildRef{Build: "base-3", Pipeline: "base", Order: 3}
	r.Ready.Image = image(3)
	_, err := store.Rollouts(i.admin).Create(queuetest.Within(t), r.ID, r)
	queuetest.Must(t, err)
	_, err = store.Builds(i.admin).Create(queuetest.Within(t), "other-1", messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "other-1", Pipeline: "other", Order: 1}, State: messages.BuildStateFailed,
		Failure: &messages.Failure{Class: messages.FailureUser, Reason: "the hook has no shebang", Fix: "write #!/bin/sh first"},
	})
	queuetest.Must(t, err)
	for n := range nodes {
		i.node(t, n, nil)
	}
	i.node(t, 3, func(s *messages.NodeStatus) { s.Engine.Error = "permission denied" })
	i.node(t, 4, func(s *messages.NodeStatus) {
		s.Fetching = &messages.ImageFetch{Image: image(3), Bytes: 42, Total: 100}
	})
	return i
}

// newFleet has a fleet without nodes.
func newFleet(t *testing.T, change ...func(c *console.Config, at string)) *installation {
	t.Helper()
	nats, as := queuetest.Guarded(t)
	i := &installation{admin: as("admin"), nats: nats, proxy: nats.Proxy(t)}
	i.declare(t)
	file := filepath.Join(t.TempDir(), "tokens")
	token, entry, err := tokens.Make("ada", tokens.Operator, time.Now())
	queuetest.Must(t, err)
	queuetest.Must(t, tokens.Add(file, entry))
	i.token = token.Reveal()
	followed, err := tokens.Follow(file, func(error) {})
	queuetest.Must(t, err)
	compare, err := imagediff.New(imagediff.Config{Hooks: []string{"pre-running"}})
	queuetest.Must(t, err)
	s := httptest.NewUnstartedServer(nil)
	config := console.Config{Queue: nats.Connect(t, queuetest.Credentials("console"), queuetest.Through(i.proxy)), Tokens: followed, Logger: zerolog.Nop(), Compare: compare}
	for _, do := range change {
		do(&config, "http://"+s.Listener.Addr().String())
	}
	c, err := console.New(config)
	queuetest.Must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Run(ctx) }()
	s.Config = console.NewServer(c.Handler(), zerolog.Nop())
	s.Start()
	i.url, i.server = s.URL, s
	t.Cleanup(func() {
		cancel()
		s.Close()
		<-ended
	})
	_, err = store.Fleets(i.admin).Create(queuetest.Within(t), "production", messages.FleetRecord{
		Fleet: "production", ID: "id", Epoch: 2, Decision: "x", Current: messages.FleetImage{Image: image(2), Build: "base-2", Order: 2},
		Previous: messages.FleetImage{Image: image(1), Build: "base-1", Order: 1}, Highest: 2, Applied: messages.Applied{Epoch: 2},
	})
	queuetest.Must(t, err)
	return i
}

// declare makes the streams and buckets.
func (i *installation) declare(t *testing.T) {
	t.Helper()
	queuetest.Must(t, store.Declare(queuetest.Within(t), i.admin, store.Layout{NodeTTL: time.Hour}))
}

func (i *installation) node(t *testing.T, n int, change func(*messages.NodeStatus)) {
	t.Helper()
	name := fmt.Sprintf("node-%05d", n)
	s := messages.NodeStatus{
		Fleet: "production", Node: name, Instance: "i", Beat: 1, Interval: messages.Duration(10 * time.Second), Version: "v1", Revision: 1, FreeBytes: 1 << 35,
		Engine: messages.Engine{Name: "docker", Version: "29.0"},
		Images: []messages.PresentImage{{Image: image(1), ID: "sha256:1", Local: "l1"}, {Image: image(2), ID: "sha256:2", Local: "l2"}},
	}
	if change != nil {
		change(&s)
	}
	key := messages.NodeKey("production", name)
	queuetest.Must(t, store.Members(i.admin).Note(key, messages.Member{Fleet: "production", Node: name, Joined: time.Now()}))
	queuetest.Must(t, store.Nodes(i.admin).Note(key, s))
}

// chromium starts a browser.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: this test drives a browser: run scripts/chromium, or apt-get install chromium", err)
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 900), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(queuetest.TestTime))...)
	ctx, done := chromedp.NewContext(alloc)
	t.Cleanup(func() { done(); stop() })
	queuetest.Must(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	ctx, cancel := context.WithTimeout(ctx, 5*queuetest.TestTime)
	t.Cleanup(cancel)
	return ctx
}

func do(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](ctx context.Context, t *testing.T, expression string, how ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, how...))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true of the page, or of the one that takes its place.
func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for late := time.After(queuetest.TestTime); ; {
			if is, err := chromedp.Evaluate[bool](expression)(ctx, target); err == nil && is {
				return nil
			}
			select {
			case <-tick.C:
			case <-late:
				body, _ := chromedp.Evaluate[string]("document.body.innerText")(ctx, target)
				return fmt.Errorf("it did not come to pass that %s: %s", expression, body)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
}

// has waits until the page's text has what is wanted.
func has(text string) chromedp.Action[chromedp.Void] {
	return until(fmt.Sprintf("!!document.body && document.body.innerText.includes(%q)", text))
}

// press clicks the first element of a selector once it is to be seen, in one step: where a page changes in its place another one
// may be there by the time that a mouse has found the way.
func press(selector string) chromedp.Action[chromedp.Void] {
	return until(fmt.Sprintf(`(() => { const e = document.querySelector(%q), seen = !!e && e.checkVisibility(); if (seen) e.click(); return seen; })()`, selector))
}

// looked are the paths of the pages that were found usable.
var looked []string

// TestMain holds, where every test has run, that each page and each decision that the console has was among them.
func TestMain(m *testing.M) {
	code := m.Run()
	if n := len(unseen(nil)); n < 30 {
		fmt.Printf("FAIL: console.go is read to have %d pages and decisions\n", n)
		code = 1
	}
	some := slices.ContainsFunc([]string{"test.run", "test.skip", "test.list"}, func(name string) bool { return flag.Lookup(name).Value.String() != "" })
	if missing := unseen(looked); code == 0 && len(missing) > 0 && !some {
		fmt.Printf("FAIL: no test has axe-core look at %s\n", strings.Join(missing, ", "))
		code = 1
	}
	os.Exit(code)
}

// unseen lists the pages and the decisions of the console that are none of those that were looked at.
func unseen(looked []string) (out []string) {
	source, err := os.ReadFile("../console.go")
	if err != nil {
		return []string{err.Error()}
	}
	mux, seen := http.NewServeMux(), map[string]bool{}
	answer := regexp.MustCompile(`/assets/|/events"|/healthz|oidc`)
	for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\("GET (\S+)"`).FindAllStringSubmatch(string(source), -1) {
		mux.Handle(m[1], http.NotFoundHandler())
		if !answer.MatchString(m[0]) {
			out = append(out, m[1])
		}
	}
	for _, path := range looked {
		_, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, path, nil))
		seen[pattern], seen[path[strings.LastIndex(path, "/")+1:]] = true, true
	}
	out = append(out, "hold", "release", "rollback", "promote", "approve", "abort", "cancel", "retry", "retire", "requeue", "drop")
	return slices.DeleteFunc(out, func(s string) bool { return seen[s] })
}

// usable has axe-core look at the page, which must have asked no other host for anything.
func usable(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	looked = append(looked, ask[string](ctx, t, "location.pathname"))
	// What stands in a page and is no element of ours the policy keeps from running: there is none.
	for _, f := range ask[[]string](ctx, t, `[...document.querySelectorAll("style, script:not([src]), [style]")].map(e => e.outerHTML).concat(
		[...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).map(e => e.outerHTML))`) {
		t.Errorf("%s has a style or a script in it: %s", what, f)
	}
	_ = ask[int](ctx, t, axe+";0")
	for _, f := range ask[[]string](ctx, t,
		`axe.run(document).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join("; ")))`, chromedp.EvalAwaitPromise) {
		t.Errorf("%s: %s", what, f)
	}
	for _, f := range ask[[]string](ctx, t, `performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith(location.origin + "/"))`) {
		t.Errorf("%s asks another host: %s", what, f)
	}
}

func signIn(ctx context.Context, t *testing.T, i *installation) {
	t.Helper()
	do(ctx, t, chromedp.Navigate(i.url+"/"), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", i.token), chromedp.Click("main button"), has("Fleets"))
}

// shot keeps a picture of the page in the folder of $FENCELINE_SCREENSHOTS, where that is set.
func shot(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("FENCELINE_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	queuetest.Must(t, err)
	queuetest.Must(t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600))
}

// scheme has the page drawn for a dark or a light room.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

func TestEveryPageCanBeUsedByEverybody(t *testing.T) {
	i := newInstallation(t, 60)
	ctx := chromium(t)
	do(ctx, t, chromedp.Navigate(i.url+"/"), chromedp.WaitVisible("#token"))
	usable(ctx, t, "sign-in")
	do(ctx, t, chromedp.Navigate(i.url+"/enter/none"), has("This link signs you in once"))
	usable(ctx, t, "a link to sign in by")
	do(ctx, t, chromedp.Click("main button"), has("This link has been used"))
	usable(ctx, t, "a link that is over")
	signIn(ctx, t, i)
	do(ctx, t, has("no shebang"), has("permission denied"))
	shot(ctx, t, "console-fleets")
	paths := []string{
		"/", "/fleets/production", "/fleets/production?state=silent", "/fleets/production/nodes/node-00003", "/fleets/production/nodes/node-00003/retire", "/rollouts/production-base-3",
		"/fleets/production/hold", "/fleets/production/release", "/fleets/production/rollback", "/fleets/production/promote", "/rollouts/production-base-3/approve",
		"/rollouts/production-base-3/abort", "/dead-letters", "/none",
	}
	for _, room := range []string{"light", "dark"} {
		do(ctx, t, scheme(room))
		for _, path := range paths {
			do(ctx, t, chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			usable(ctx, t, path+" in "+room)
			if path == "/fleets/production" && room == "light" {
				shot(ctx, t, "console-fleet")
			}
			_ = ask[int](ctx, t, `document.querySelectorAll("details").forEach(d => { d.open = true }); for (const id of ["lost", "paused", "over"]) document.getElementById(id).hidden = false; 0`)
			usable(ctx, t, path+" with all that is folded or hidden, in "+room)
		}
	}
	for _, width := range []int64{360, 3840} {
		for _, path := range append(paths, "/sign-in") {
			do(ctx, t, chromedp.EmulateViewport(width, 800), chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			if ask[bool](ctx, t, "document.documentElement.scrollWidth > innerWidth") {
				t.Errorf("%s does not fit %d pixels", path, width)
			}
		}
	}
}

func TestChangesComeInTheirPlace(t *testing.T) {
	i := newInstallation(t, 2000)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, has("1998 present"), chromedp.Navigate(i.url+"/fleets/production"), has("1 to 2000 of 2000 nodes"))
	_ = ask[int](ctx, t, `window.kept = document.getElementById("n-node-01234"); kept.focus(); window.was = kept.getBoundingClientRect().top; 0`)
	i.node(t, 1234, func(s *messages.NodeStatus) { s.Engine.Error = "gone" })
	do(ctx, t, until(`document.getElementById("n-node-01234").className === "behind"`), has("2 behind"))
	if !ask[bool](ctx, t, `kept === document.getElementById("n-node-01234") && kept === document.activeElement && kept.getBoundingClientRect().top === was`) {
		t.Error("the cell, the focus or the page was moved")
	}
	if !ask[bool](ctx, t, `kept.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true, cancelable: true})); document.activeElement.id === "n-node-01235"`) {
		t.Error("an arrow does not lead to the next node")
	}
}

func TestAnImageIsApprovedAndAFleetHeld(t *testing.T) {
	i := newInstallation(t, 6)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, has("everything holds but a person's word"), press(`a[href="/rollouts/production-base-3/approve"]`), has("What it will do"),
		chromedp.SendKeys("#reason", "tried by hand"), chromedp.Click("button.decide"), has("Done: Rollout production-base-3 is approved"), has("Approved by"))
	e, err := store.Rollouts(i.admin).Current(t.Context(), "production-base-3")
	if err != nil || e.Value.Approved != "ada" {
		t.Errorf("it is approved by %q, %v", e.Value.Approved, err)
	}
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production"), press(`a[href="/fleets/production/hold"]`), has("What it will do"),
		chromedp.SendKeys("#reason", "freeze"), chromedp.Click("button.decide"), has("Done: Fleet production is held"), has("Held by ada"))
}
