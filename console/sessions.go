package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
)

const (
	cookieName = "fenceline_console"
	// maxSessions bounds how many people, or browsers of them, are signed in: the oldest makes way.
	maxSessions = 10_000
	// maxSessionsEach bounds those of one person, so that none takes the places of others.
	maxSessionsEach = 100
	// maxForms bounds the forms of a session that were shown and not sent yet.
	maxForms = 64
	// invitationTime is how long a link to sign in by is good for.
	invitationTime = 15 * time.Minute
)

// Person is somebody who has proved who they are.
type Person struct {
	Name string
	Role tokens.Role
	Via  string // by what, for the log
	// Still tells why that proof holds no longer, or "": a session ends once it doesn't. It may take a while, for which ctx
	// bounds it: what it says after that doesn't count. Nil is for as long as the session lasts.
	Still func(ctx context.Context) Ending

	https bool // the browser came by HTTPS, whatever its request shows
}

// By is how records name the person. A name by an OpenID Connect provider is marked, so that nobody there passes for one who has
// a token of that name, or for a user of a machine.
func (p *Person) By() string {
	if p.Via == viaOIDC {
		return p.Name + " (" + viaOIDC + ")"
	}
	return p.Name
}

// session is a browser in which a person has signed in.
type session struct {
	person Person
	until  time.Time

	mu      sync.Mutex
	forms   []shownForm // that were not sent yet, the oldest first
	outcome *outcome    // of the last decision, to be shown once
}

// shownForm is a form as it was shown: it can be sent once, and only for what it was shown for.
type shownForm struct {
	key   string
	path  string // of its page
	to    string // the digest of the image that its page says would become current; "" for none
	facts []fact // that its page said
}

// outcome is what became of a decision.
type outcome struct {
	Good bool
	Text string
}

// mayDecide tells whether the person may decide, and not only look.
func (s *session) mayDecide() bool { return s != nil && s.person.Role == tokens.Operator }

// newForm is the key of a form that is shown, with which it can be sent once.
func (s *session) newForm(f shownForm) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forms) == maxForms {
		s.forms = slices.Delete(s.forms, 0, 1)
	}
	f.key = newKey()
	s.forms = append(s.forms, f)
	return f.key
}

// takeForm takes a form that was shown in this session and not sent yet, and tells whether there is one.
func (s *session) takeForm(key string) (f shownForm, was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.forms, func(f shownForm) bool { return f.key == key })
	if i < 0 {
		return f, false
	}
	f = s.forms[i]
	s.forms = slices.Delete(s.forms, i, i+1)
	return f, true
}

func (s *session) leave(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcome = &o
}

// takeOutcome is the outcome that was not shown yet, or nil.
func (s *session) takeOutcome() *outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outcome
	s.outcome = nil
	return o
}

// sessions are those who are signed in, in memory alone: a restart signs everybody out. Keys are kept as digests.
type sessions struct {
	length time.Duration

	mu          sync.Mutex
	all         map[[32]byte]*session
	invitations map[[32]byte]invitation
}

// invitation is a link that signs a person in once.
type invitation struct {
	person Person
	until  time.Time
}

func newSessions(length time.Duration) *sessions {
	return &sessions{length: length, all: map[[32]byte]*session{}, invitations: map[[32]byte]invitation{}}
}

// newKey is a random text that nobody guesses, 256 bits.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// begin signs a person in: every way to prove who one is ends here. A session that the browser had ends.
func (l *sessions) begin(w http.ResponseWriter, r *http.Request, p Person) {
	l.end(r)
	key := newKey()
	now := time.Now()
	l.mu.Lock()
	l.sweep(now)
	l.makeWay(p.By())
	l.all[sha256.Sum256([]byte(key))] = &session{person: p, until: now.Add(l.length)}
	l.mu.Unlock()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the browser came by HTTPS
		Name: cookieName, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.https || secure(r), MaxAge: int(l.length.Seconds()),
	})
}

// secure tells whether the browser came by HTTPS, also where a proxy ended it. Who makes that up has a cookie that comes back
// by HTTPS alone.
func secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// sweep drops what is over, and the oldest session where there are too many. It is called with mu held.
func (l *sessions) sweep(now time.Time) {
	var oldest [32]byte
	var first time.Time
	for key, s := range l.all {
		if !now.Before(s.until) {
			delete(l.all, key)
			continue
		}
		if first.IsZero() || s.until.Before(first) {
			oldest, first = key, s.until
		}
	}
	if len(l.all) >= maxSessions {
		delete(l.all, oldest)
	}
	for key, i := range l.invitations {
		if now.After(i.until) {
			delete(l.invitations, key)
		}
	}
}

// makeWay drops the oldest session of a person who has as many as one may. It is called with mu held.
func (l *sessions) makeWay(name string) {
	var oldest [32]byte
	var first time.Time
	n := 0
	for key, s := range l.all {
		if s.person.By() != name {
			continue
		}
		if n++; first.IsZero() || s.until.Before(first) {
			oldest, first = key, s.until
		}
	}
	if n >= maxSessionsEach {
		delete(l.all, oldest)
	}
}

// find is the session of a request, or nil and why it has ended, where it has just done so.
func (l *sessions) find(r *http.Request) (*session, Ending) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, ""
	}
	key := sha256.Sum256([]byte(cookie.Value))
	l.mu.Lock()
	s := l.all[key]
	l.mu.Unlock()
	if s == nil {
		return nil, ""
	}
	ending := s.ending(r.Context(), time.Now())
	if ending == "" {
		return s, ""
	}
	if r.Context().Err() == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, key)
	}
	return nil, ending
}

// ending is why the session has ended, or "".
func (s *session) ending(ctx context.Context, now time.Time) Ending {
	if !now.Before(s.until) {
		return endedByTime
	}
	if s.person.Still == nil {
		return ""
	}
	return s.person.Still(ctx)
}

// end ends the session of a request, and returns it, or nil. Nobody is asked whether it holds.
func (l *sessions) end(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	key := sha256.Sum256([]byte(cookie.Value))
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all[key]
	delete(l.all, key)
	return s
}

// invite makes a link that signs a person in once, and returns its key.
func (l *sessions) invite(p Person) string {
	key := newKey()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invitations[sha256.Sum256([]byte(key))] = invitation{p, time.Now().Add(invitationTime)}
	return key
}

// accept is whom a link signs in; it is used up.
func (l *sessions) accept(key string) (Person, bool) {
	digest := sha256.Sum256([]byte(key))
	l.mu.Lock()
	defer l.mu.Unlock()
	i, known := l.invitations[digest]
	delete(l.invitations, digest)
	return i.person, known && time.Now().Before(i.until)
}

// Invite makes a path that signs a person in once, within a quarter of an hour.
func (c *Console) Invite(p Person) (path string) { return "/enter/" + c.sessions.invite(p) }
