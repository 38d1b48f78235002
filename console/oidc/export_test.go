package oidc

import "time"

// At has a provider take another time for that of now.
func (p *Provider) At(now func() time.Time) { p.now = now }

// Patience bounds a request to the provider.
func (p *Provider) Patience(d time.Duration) { p.client.Timeout = d }

// Begun is how many sign-ins were begun and not ended.
func (p *Provider) Begun() int {
	p.attempts.mu.Lock()
	defer p.attempts.mu.Unlock()
	return len(p.attempts.all)
}

// The bounds that tests go up to.
const (
	AttemptsMost = attemptsMost
	RenewMost    = renewMost
	RenewAgain   = renewAgain
	LookAgain    = lookAgain
)

// Asking tells whether the provider is being asked about the person.
func (l *Login) Asking() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asking != nil
}
