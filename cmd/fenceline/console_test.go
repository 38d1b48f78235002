package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/console/oidc/oidctest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

var signInOnce = regexp.MustCompile(`"sign_in_once":"([^"]+)"`)

// TestUpServesTheConsole: the link that is logged signs in once, and a token made beside it does at once.
func TestUpServesTheConsole(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	t.Setenv(settings.StateVariable, state)
	log, stop := start(t, "this link signs you in", upArgs(t, dir)...)
	link := signInOnce.FindStringSubmatch(log.String())
	if link == nil {
		t.Fatalf("no link: %s", log)
	}
	at, err := url.Parse(link[1])
	if err != nil {
		t.Fatal(err)
	}
	visit := func(client *http.Client, path string, form url.Values) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.Scheme+"://"+at.Host+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	browser := func() *http.Client {
		jar, _ := cookiejar.New(nil) // it has no options that could be wrong
		return &http.Client{Jar: jar}
	}
	if page := visit(browser(), at.Path, nil); !strings.Contains(page, "(operator)") || !strings.Contains(page, "Fleets") {
		t.Errorf("the link leads to\n%s", page)
	}
	if page := visit(browser(), at.Path, nil); !strings.Contains(page, "has been used") {
		t.Errorf("the link leads a second time to\n%s", page)
	}
	made := fenceline(t, "console", "token", "vera")
	if made.status != cli.ExitDone || !strings.Contains(made.err, "vera may sign in as viewer") {
		t.Fatalf("a token: %+v", made)
	}
	vera := browser()
	if page := visit(vera, "/sign-in", url.Values{"token": {strings.TrimSpace(made.out)}}); !strings.Contains(page, "vera (viewer)") {
		t.Errorf("the token leads to\n%s", page)
	}
	if s := fenceline(t, "console", "list"); !strings.Contains(s.out, "vera") || strings.Contains(s.out, strings.TrimSpace(made.out)) {
		t.Errorf("the list: %+v", s)
	}
	if s := fenceline(t, "console", "token", "vera"); s.status != cli.ExitFailed || !strings.Contains(s.err, "revoke it first") {
		t.Errorf("a second token: %+v", s)
	}
	done(t, "console", "revoke", "vera")
	if s := fenceline(t, "console", "token", "no name", "--role", "boss"); s.status != cli.ExitUsage || !strings.Contains(s.err, "boss") || !strings.Contains(s.err, "no name") {
		t.Errorf("a bad name and role: %+v", s)
	}
	if code := stop(); code != cli.ExitDone {
		t.Errorf("it ended with %d: %s", code, log)
	}
}

// TestAConsoleWithAProviderAlone starts while that is away, and signs people in once it is there.
func TestAConsoleWithAProviderAlone(t *testing.T) {
	s := queuetest.Start(t)
	s.Client(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	at, listen, dir := oidctest.Start(t), free(t), t.TempDir()
	at.Put(oidctest.Person{Login: "ada", Email: "ada@example.com", Groups: []string{"Domain Admins"}})
	at.At("http://" + listen)
	at.Away(true)
	secret := filepath.Join(dir, "secret")
	clitest.Write(t, secret, oidctest.Secret()+"\n")
	log, stop := start(t, `"running"`, "run", "console", "--listen", listen, "--oidc-issuer-url", at.URL, "--oidc-client-id", oidctest.ClientID, "--oidc-client-secret-file", secret,
		"--console-url", "http://"+listen, "--oidc-viewer-groups", "staff,Domain Admins", "--oidc-name", "Example")
	jar, _ := cookiejar.New(nil) // it has no options that could be wrong
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != listen {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	visit := func(path string) (*http.Response, string) {
		t.Helper()
		resp, err := client.Get("http://" + listen + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	await := func(what string, holds func(page string) bool) {
		t.Helper()
		page := ""
		for patience := time.Now().Add(time.Minute); !holds(page); {
			if _, page = visit("/sign-in"); time.Now().After(patience) {
				t.Fatalf("it did not come to pass that %s: %s", what, page)
			}
		}
	}
	const away = "Example can't be reached"
	await("the page says that it is away", func(page string) bool { return strings.Contains(page, away) })
	at.Away(false)
	await("it is found", func(page string) bool { return page != "" && !strings.Contains(page, away) })
	if _, page := visit("/sign-in"); !strings.Contains(page, "Sign in with Example") || strings.Contains(page, `name="token"`) {
		t.Errorf("the page to sign in asks for a token that nobody has: %s", page)
	}
	resp, _ := visit("/sign-in/oidc?next=/")
	if _, page := visit(at.LogIn(t, resp.Header.Get("Location"), "ada").RequestURI()); !strings.Contains(page, "ada@example.com (viewer)") {
		t.Errorf("she is not in: %s", page)
	}
	if code := stop(); code != cli.ExitDone {
		t.Errorf("it ended with %d: %s", code, log)
	}
	hidden(t, log.String(), secret)
}
