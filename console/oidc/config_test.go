package oidc_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/console/oidc"
)

func TestBadSettingsAreNamed(t *testing.T) {
	f := newForger(t)
	dir := t.TempDir()
	empty, none := filepath.Join(dir, "empty"), filepath.Join(dir, "none")
	must(t, os.WriteFile(empty, nil, 0o600))
	for what, test := range map[string]struct {
		change func(*oidc.Config)
		field  string
		want   string
	}{
		"no issuer":                {func(c *oidc.Config) { c.IssuerURL = "" }, oidc.FieldIssuerURL, "is missing"},
		"an issuer without HTTPS":  {func(c *oidc.Config) { c.IssuerURL = "http://id.example.com" }, oidc.FieldIssuerURL, "http is for this machine alone"},
		"an issuer that is a file": {func(c *oidc.Config) { c.IssuerURL = "file:///etc/passwd" }, oidc.FieldIssuerURL, "no address"},
		"an issuer's page":         {func(c *oidc.Config) { c.IssuerURL += "/.well-known/openid-configuration" }, oidc.FieldIssuerURL, "leave /.well-known/openid-configuration out"},
		"an issuer with a secret":  {func(c *oidc.Config) { c.IssuerURL = "https://a:b@id.example.com" }, oidc.FieldIssuerURL, "has a user"},
		"no client":                {func(c *oidc.Config) { c.ClientID = "" }, oidc.FieldClientID, "is missing"},
		"no such secret":           {func(c *oidc.Config) { c.ClientSecretFile = none }, oidc.FieldClientSecretFile, none},
		"an empty secret":          {func(c *oidc.Config) { c.ClientSecretFile = empty }, oidc.FieldClientSecretFile, "is empty"},
		"no address":               {func(c *oidc.Config) { c.ConsoleURL = "" }, oidc.FieldConsoleURL, "is missing"},
		"an address without HTTPS": {func(c *oidc.Config) { c.ConsoleURL = "http://console.example.com" }, oidc.FieldConsoleURL, "http is for this machine alone"},
		"an address with a path":   {func(c *oidc.Config) { c.ConsoleURL = "https://example.com/console" }, oidc.FieldConsoleURL, "has a path"},
		"no such authorities":      {func(c *oidc.Config) { c.CAFile = none }, oidc.FieldCAFile, none},
		"authorities that aren't":  {func(c *oidc.Config) { c.CAFile = c.ClientSecretFile }, oidc.FieldCAFile, "has no certificate"},
		"a scope with a space":     {func(c *oidc.Config) { c.Scopes = []string{"openid email"} }, oidc.FieldScopes, "openid email"},
		"a claim with a space":     {func(c *oidc.Config) { c.NameClaim = "my name" }, oidc.FieldNameClaim, "my name"},
		"a group's claim":          {func(c *oidc.Config) { c.GroupsClaim = "\x1b[2J" }, oidc.FieldGroupsClaim, `\x1b`},
		"no groups":                {func(c *oidc.Config) { c.OperatorGroups, c.ViewerGroups = nil, nil }, oidc.FieldOperatorGroups, "nobody could sign in"},
		"an empty group":           {func(c *oidc.Config) { c.ViewerGroups = []string{" "} }, oidc.FieldViewerGroups, "no group"},
		"a pattern":                {func(c *oidc.Config) { c.OperatorGroups = []string{"*"} }, oidc.FieldOperatorGroups, "no patterns"},
		"a name with commands":     {func(c *oidc.Config) { c.ProviderName = "\x1b[2J" }, oidc.FieldProviderName, "can be seen"},
	} {
		c := f.config(t)
		test.change(&c)
		_, err := oidc.New(c)
		var at *oidc.FieldError
		if !errors.As(err, &at) || !slices.Contains(at.Fields, test.field) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "client-secret-0815") {
			t.Errorf("%s: %v of %+v, want %q", what, err, at, test.want)
		}
	}
	c := f.config(t)
	c.OperatorGroups, c.ConsoleURL, c.ClientSecretFile = []string{"cn=Domain Admins,dc=example"}, "http://127.0.0.1:8448/", ""
	if p, err := oidc.New(c); err != nil || p.URL() != "http://127.0.0.1:8448" || p.HTTPS() {
		t.Errorf("good ones: %v", err)
	}
}
