package oidc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

const (
	// AttemptTime is how long a sign-in may take at the provider.
	AttemptTime = 10 * time.Minute
	// attemptsMost bounds sign-ins that were begun and not ended: the oldest makes way.
	attemptsMost = 10_000
	// nextMost bounds, in bytes, the path that a person wants to go on to.
	nextMost = 1000
)

// digest is the SHA-256 of a key: keys themselves are not kept.
type digest = [sha256.Size]byte

func digestOf(key string) digest { return sha256.Sum256([]byte(key)) }

// attempt is a sign-in that was begun.
type attempt struct {
	browser  digest // of the key in the browser's cookie
	nonce    string // that the ID token must have
	verifier string // of PKCE
	next     string
	until    time.Time
}

// attempts are the sign-ins that were begun, by the state that goes to the provider and back.
type attempts struct {
	mu  sync.Mutex
	all map[digest]attempt
}

// newKey is a random text that nobody guesses, 256 bits.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// begin keeps an attempt of a browser, and returns its state.
func (a *attempts) begin(at attempt, now time.Time) (state string) {
	state = newKey()
	at.until = now.Add(AttemptTime)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) >= attemptsMost {
		a.sweep(now)
	}
	a.all[digestOf(state)] = at
	return state
}

// sweep drops what is over, and the oldest where there are too many all the same. It is called with mu held.
func (a *attempts) sweep(now time.Time) {
	var oldest digest
	var first time.Time
	for key, at := range a.all {
		if !now.Before(at.until) {
			delete(a.all, key)
		} else if first.IsZero() || at.until.Before(first) {
			oldest, first = key, at.until
		}
	}
	if len(a.all) >= attemptsMost {
		delete(a.all, oldest)
	}
}

// take takes the attempt of a state, which is used up by it, whoever brings it. It is false where that isn't the browser which
// began it, or where it is over.
func (a *attempts) take(state, browser string, now time.Time) (attempt, bool) {
	key := digestOf(state)
	a.mu.Lock()
	defer a.mu.Unlock()
	at, known := a.all[key]
	delete(a.all, key)
	return at, known && at.browser == digestOf(browser) && now.Before(at.until)
}
