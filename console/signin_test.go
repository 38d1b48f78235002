package console

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestSigningIn(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	nobody := s.as(t, "")
	if a := nobody.get(t, "/fleets/production?state=behind"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?next=%2Ffleets%2Fproduction%3Fstate%3Dbehind" {
		t.Errorf("without a session: %d %v", a.status, a.header)
	}
	if a := nobody.get(t, "/events"); a.header.Get("Content-Type") != "text/event-stream" || !strings.Contains(a.body, "event: over\n") {
		t.Errorf("a stream without a session: %d %s", a.status, a.body)
	}
	if a := nobody.post(t, "/sign-in", url.Values{"token": {s.tokens["ada"] + "x"}}); a.status != http.StatusUnauthorized || a.header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong token: %d %v", a.status, a.header)
	}
	for next, want := range map[string]string{"/fleets/production": "/fleets/production", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "evil": "/", "/\tx": "/"} {
		b := s.as(t, "")
		a := b.post(t, "/sign-in", url.Values{"token": {s.tokens["vera"]}, "next": {next}})
		if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("next %q leads to %q, %d", next, a.header.Get("Location"), a.status)
		}
		cookie := a.header.Get("Set-Cookie")
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
			t.Errorf("the cookie is %s", cookie)
		}
	}
	if text, err := os.ReadFile(s.file); err != nil || strings.Contains(string(text), s.tokens["ada"]) {
		t.Errorf("the file has a token itself: %v", err)
	}
}

func TestSignInsAreBounded(t *testing.T) {
	s := newSite(t)
	b := s.as(t, "")
	status := 0
	for range triesEach + 5 {
		status = b.post(t, "/sign-in", url.Values{"token": {"x"}}).status
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("after %d tries: %d", triesEach+5, status)
	}
	many := newTries()
	for i := range maxAddresses + 10 {
		if !many.allow(string(rune(i))) {
			t.Fatalf("address %d is refused", i)
		}
	}
	if len(many.of) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(many.of))
	}
}

// TestANetworkOfIPv6IsOneOrigin: who has all of its addresses has no more tries, and takes none of anybody else.
func TestANetworkOfIPv6IsOneOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64", "2001:db8:1:3::1": "2001:db8:1:3::/64",
		"fe80::1%eth0": "fe80::/64", "local": "local", "ada": "ada", "": "",
	} {
		if got := origin(address); got != want {
			t.Errorf("%q is of %q, want %q", address, got, want)
		}
	}
	s, _, _ := newOIDCSite(t)
	from := ""
	s.it.sender = func(*http.Request) string { return from }
	b := s.as(t, "")
	token := func() int { return b.post(t, "/sign-in", url.Values{"token": {"x"}}).status }
	for what, try := range map[string]struct {
		do func() int
		ok int
	}{
		"tokens":            {token, http.StatusUnauthorized},
		"sign-ins begun":    {func() int { return b.get(t, "/sign-in/oidc").status }, http.StatusSeeOther},
		"links that end it": {func() int { return b.post(t, "/enter/x", nil).status }, http.StatusUnauthorized},
	} {
		s.it.tries, s.it.starts = newTries(), newTries()
		refused := 0
		for n := range triesEach + 5 {
			from = fmt.Sprintf("2001:db8:1:2::%x", n)
			if try.do() == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused < 3 { // the test may take the time of one or two
			t.Errorf("%s: of %d from one network %d are refused", what, triesEach+5, refused)
		}
		from = "2001:db8:1:3::1"
		if got := try.do(); got != try.ok {
			t.Errorf("%s from another network: %d", what, got)
		}
	}
}

func TestARevokedTokenEndsItsSession(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	ada, vera := s.as(t, "ada"), s.as(t, "vera")
	if a := ada.get(t, "/"); a.status != http.StatusOK {
		t.Fatalf("signed in: %d", a.status)
	}
	queuetest.Must(t, tokens.Revoke(s.file, "ada"))
	ada.until(t, "/", "the session ends", func(a answer) bool { return a.status == http.StatusSeeOther })
	if a := vera.get(t, "/"); a.status != http.StatusOK {
		t.Errorf("another person's session: %d", a.status)
	}
	if a := ada.get(t, "/fleets/production/events"); !strings.Contains(a.body, "event: over\n") {
		t.Errorf("a page that nobody saw meanwhile: %d %s", a.status, a.body)
	}
	if a := ada.post(t, "/fleets/production/hold", url.Values{"reason": {"x"}}); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "nothing was done") {
		t.Errorf("a decision after that: %d", a.status)
	}
	queuetest.Must(t, os.WriteFile(s.file, []byte("vera boss x y\n"), 0o600))
	vera.until(t, "/", "a file that can't be read signs everybody out", func(a answer) bool { return a.status == http.StatusSeeOther })
}

func TestSessionsExpire(t *testing.T) {
	l := newSessions(time.Hour)
	s := &session{person: Person{Name: "ada"}, until: time.Now().Add(time.Hour)}
	if s.ending(t.Context(), time.Now()) != "" || s.ending(t.Context(), time.Now().Add(time.Hour)) != endedByTime {
		t.Error("it does not end when it is to")
	}
	for range maxSessions {
		l.all[[32]byte([]byte(newKey())[:32])] = s
	}
	l.sweep(time.Now())
	if len(l.all) != maxSessions-1 {
		t.Errorf("%d sessions are left: there is no room for another", len(l.all))
	}
	l.sweep(time.Now().Add(2 * time.Hour))
	if len(l.all) != 0 {
		t.Errorf("%d sessions that are over are left", len(l.all))
	}
	short := newSite(t, func(c *Config, _ string) { c.SessionTime = time.Nanosecond })
	short.fleet(t, "production", 1)
	if a := short.as(t, "ada").get(t, "/builds"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?next=%2Fbuilds&ended=time" {
		t.Errorf("a page after that: %d %v", a.status, a.header)
	}
	if a := short.as(t, "").get(t, "/sign-in?ended=time"); !strings.Contains(a.body, "Your session was as long as sessions are.") {
		t.Errorf("the page to sign in says not why:\n%s", a.body)
	}
	if a := short.as(t, "ada").post(t, "/fleets/production/hold", url.Values{"reason": {"x"}}); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "nothing was done. Your session was as long") {
		t.Errorf("a decision after that: %d\n%s", a.status, a.body)
	}
	if a := short.as(t, "ada").get(t, "/events"); !strings.Contains(a.body, "event: over\n") || !strings.Contains(a.body, "as long as sessions are") {
		t.Errorf("an open page after that: %d %s", a.status, a.body)
	}
}

func TestALinkSignsInOnce(t *testing.T) {
	s := newSite(t)
	path := s.it.Invite(Person{Name: "root", Role: tokens.Operator, Via: "link"})
	first, second := s.as(t, ""), s.as(t, "")
	if a := first.get(t, path); a.status != http.StatusOK || a.header.Get("Set-Cookie") != "" {
		t.Errorf("what looks ahead at the link: %d", a.status)
	}
	if a := first.post(t, path, nil); a.status != http.StatusSeeOther {
		t.Errorf("the link: %d", a.status)
	}
	if a := first.get(t, "/"); a.status != http.StatusOK || !strings.Contains(a.body, "root (operator)") {
		t.Errorf("signed in: %d", a.status)
	}
	if a := second.post(t, path, nil); a.status != http.StatusUnauthorized {
		t.Errorf("the link a second time: %d", a.status)
	}
}
