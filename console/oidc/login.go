package oidc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
	"golang.org/x/oauth2"
)

const (
	// renewMost is how long a provider that gives refresh tokens is believed before it is asked again, however long its ID tokens
	// are good: so long a person whom it has struck may stay.
	renewMost = 10 * time.Minute
	// renewLeast is how long a provider that gives refresh tokens is believed at least, so that it isn't asked all the time.
	renewLeast = time.Second
	// renewAgain is how long a provider that can't be reached is left alone before it is asked again about a person.
	renewAgain = 15 * time.Second
	// Grace is how long a session goes on, past the time at which the provider was to be asked again, while it can't be reached.
	Grace = 5 * time.Minute
	// renewWait is how long a request waits for the provider's answer, where the session goes on without it.
	renewWait = 3 * time.Second
)

// Ending is why a person is no longer signed in; "" while they are.
type Ending string

// The endings.
const (
	Expired     Ending = "expired" // the ID token has ended, and the provider gave nothing to renew it by
	Refused     Ending = "refused" // the provider no longer stands by it
	Changed     Ending = "changed" // another name, or groups of another role, or of none
	Unconfirmed Ending = "away"    // the provider could not be reached for too long
)

// Login is a person who has signed in. It is safe for concurrent use.
type Login struct {
	Subject, Name string
	Role          tokens.Role

	provider *Provider
	nonce    string

	mu       sync.Mutex
	refresh  string        // the refresh token; "" for none
	own      claims        // of the last ID token: those that tell name and role
	tokenEnd time.Time     // of that, or of what the provider has said since without one
	renew    time.Time     // when the provider is to be asked again
	again    time.Time     // when it may be asked, after it could not be reached; zero where it could
	asking   chan struct{} // closed once it has answered; nil while it isn't asked
	ending   Ending
}

func (p *Provider) newLogin(who identity, refresh, nonce string) *Login {
	l := &Login{Subject: who.subject, Name: who.name, Role: who.role, provider: p, nonce: nonce}
	l.take(who, refresh)
	return l
}

// take takes in what the provider gave. It is called with mu held, or before anybody else has the login.
func (l *Login) take(who identity, refresh string) {
	until := who.until
	l.own, l.tokenEnd, l.renew, l.refresh, l.again = who.own, until, until, refresh, time.Time{}
	if refresh == "" {
		return
	}
	now := l.provider.now()
	if least := now.Add(renewLeast); until.Before(least) {
		l.renew = least
	} else if most := now.Add(renewMost); until.After(most) {
		l.renew = most
	}
}

// until is how long the person stays while the provider can't be reached. It is called with mu held.
func (l *Login) until() time.Time {
	if end := l.renew.Add(Grace); l.refresh != "" && end.After(l.tokenEnd) {
		return end
	}
	return l.tokenEnd
}

// Still tells whether the provider stands by the person yet. It is asked where its word has ended: that is waited for, unless the
// person may stay without. Once there is an ending it stays; where ctx ends first there is none yet, whatever is returned.
func (l *Login) Still(ctx context.Context) Ending {
	wait := time.NewTimer(renewWait)
	defer wait.Stop()
	for {
		asking, stays, ending := l.look()
		if asking == nil {
			return ending
		}
		late := wait.C
		if !stays {
			late = nil
		}
		select {
		case <-asking:
		case <-late:
			return ""
		case <-ctx.Done():
			return Unconfirmed
		}
	}
}

// look is what is known, or the question that is to be waited for. Stays tells whether the person may stay meanwhile.
func (l *Login) look() (asking <-chan struct{}, stays bool, ending Ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.provider.now()
	if l.ending != "" || now.Before(l.renew) {
		return nil, true, l.ending
	}
	if l.refresh == "" {
		l.end(Expired, nil)
		return nil, false, l.ending
	}
	stays = now.Before(l.until())
	if l.asking == nil && !now.Before(l.again) {
		l.asking = make(chan struct{})
		go l.ask(l.refresh)
	}
	switch {
	case stays && !l.again.IsZero(): // it is known to be away
		return nil, true, ""
	case l.asking == nil:
		l.end(Unconfirmed, nil)
		return nil, false, l.ending
	}
	return l.asking, stays, ""
}

// end ends it. It is called with mu held.
func (l *Login) end(why Ending, err error) {
	l.ending, l.refresh = why, ""
	l.provider.config.Logger.Info().Err(err).Str("by", l.Name).Str("subject", clean(l.Subject)).Str("why", string(why)).Msg("signed out: the OpenID Connect provider's word has ended")
}

// ask has the provider renew its word.
func (l *Login) ask(refresh string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*answerTime)
	defer cancel()
	who, token, err := l.provider.renewed(ctx, l, refresh)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { close(l.asking); l.asking = nil }()
	var no *SignInError
	switch {
	case errors.Is(err, errOver):
		l.end(Expired, nil)
	case err == nil && (who.name != l.Name || who.role != l.Role):
		l.end(Changed, nil)
	case err == nil:
		l.take(who, token.RefreshToken)
	case errors.As(err, &no) && no.Status == statusAway:
		l.again = l.provider.now().Add(renewAgain)
		if token != nil { // a refresh token may be good once
			l.refresh = token.RefreshToken
		}
		l.provider.config.Logger.Warn().Err(err).Str("by", l.Name).Time("until", l.until()).Msg("the OpenID Connect provider can't be asked about a person, who may stay for a while")
	case errors.As(err, &no) && no.Status == statusNoAccess:
		l.end(Changed, err)
	default:
		l.end(Refused, err)
	}
}

// renewed has the provider give new tokens, and reads who the person is by them.
func (p *Provider) renewed(ctx context.Context, l *Login, refresh string) (identity, *oauth2.Token, error) {
	f, err := p.get(ctx)
	if err != nil {
		return identity{}, nil, p.away(err)
	}
	secret, err := p.config.secret()
	if err != nil {
		return identity{}, nil, p.away(err)
	}
	token, err := p.oauth(f, secret.Reveal()).TokenSource(p.in(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		err = tokenError(err, secret.Reveal(), refresh)
		var no *refusedError
		if errors.As(err, &no) && slices.Contains([]string{"invalid_grant", "access_denied", "login_required", "interaction_required", "consent_required"}, no.code) {
			return identity{}, nil, err
		}
		return identity{}, nil, p.away(err)
	}
	if token.Extra("id_token") == nil {
		who, err := p.readAgain(ctx, f, l, token)
		return who, token, err
	}
	id, err := p.verify(ctx, f, token)
	if err != nil {
		return identity{}, token, err
	}
	if id.Subject != l.Subject || id.Nonce != "" && id.Nonce != l.nonce {
		return identity{}, token, p.untrusted(errors.New("the renewed ID token is of another person, or of another sign-in"))
	}
	who, err := p.read(ctx, f, id, token)
	return who, token, err
}
