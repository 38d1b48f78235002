package oidctest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	oidcproto "github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// people are the provider's, as its library wants them.
type people struct{ p *Provider }

// GetUserByID is a person, or nil.
func (s people) GetUserByID(id string) *storage.User {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	who, known := s.p.people[id]
	if !known {
		return nil
	}
	return &storage.User{ID: who.Login, Username: who.Login, Email: who.Email, EmailVerified: !who.Unverified}
}

// GetUserByUsername is GetUserByID.
func (s people) GetUserByUsername(name string) *storage.User { return s.GetUserByID(name) }

// ExampleClientID is the console's.
func (people) ExampleClientID() string { return ClientID }

// store is what the library's own example keeps, but for claims, keys, and who may go on.
type store struct {
	*storage.Storage
	provider *Provider
}

// SetUserinfoFromRequest sets the claims of an ID token.
func (s *store) SetUserinfoFromRequest(ctx context.Context, info *oidcproto.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	if slices.Contains(scopes, "groups") {
		info.AppendClaims("groups", s.provider.people[token.GetSubject()].Groups)
	}
	for name, value := range s.provider.extra {
		info.AppendClaims(name, value)
	}
	return nil
}

// TokenRequestByRefreshToken refuses those who are struck.
func (s *store) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		return nil, err
	}
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	if _, known := s.provider.people[r.GetSubject()]; !known {
		return nil, errors.New("the person is struck")
	}
	s.provider.renewals++
	return r, nil
}

// GetClientByClientID is the console as a client.
func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	return client{c, s.provider.console, s.provider.lifetime}, nil
}

// client is the console as the provider knows it.
type client struct {
	op.Client
	console  string
	lifetime time.Duration
}

// RedirectURIs is the callback alone.
func (c client) RedirectURIs() []string { return []string{c.console + "/sign-in/oidc/callback"} }

// PostLogoutRedirectURIs is the page to sign in.
func (c client) PostLogoutRedirectURIs() []string { return []string{c.console + "/sign-in"} }

// IDTokenLifetime is as the test set it.
func (c client) IDTokenLifetime() time.Duration { return c.lifetime }

// IsScopeAllowed tells whether the provider's own scopes may be asked for.
func (client) IsScopeAllowed(scope string) bool { return scope == "groups" }

// key is a key that ID tokens are signed by.
type key struct {
	id string
	*ecdsa.PrivateKey
}

// ID names the key in tokens.
func (k *key) ID() string { return k.id }

// SignatureAlgorithm is ES256.
func (*key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }

// Key is the private one.
func (k *key) Key() any { return k.PrivateKey }

// public is a key as everybody may have it.
type public struct{ *key }

// Algorithm is ES256.
func (public) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }

// Use is to sign.
func (public) Use() string { return "sig" }

// Key is the public one.
func (k public) Key() any { return &k.PublicKey }

// Rotate has tokens signed by a new key; those before are taken back.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.change(func() { p.keys = append(p.keys, &key{fmt.Sprint("key-", len(p.keys)), made}) })
}

func (s *store) newest() *key {
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	return s.provider.keys[len(s.provider.keys)-1]
}

// SigningKey is the newest.
func (s *store) SigningKey(context.Context) (op.SigningKey, error) { return s.newest(), nil }

// SignatureAlgorithms is ES256.
func (*store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

// KeySet is the newest alone.
func (s *store) KeySet(context.Context) ([]op.Key, error) { return []op.Key{public{s.newest()}}, nil }
