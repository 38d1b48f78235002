package oidc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/fenceline/fenceline/console/tokens"
)

// FuzzClaims: whatever a provider says of a person, nobody gets in without a verified address and a group, and what they are told
// is short and obeyed by no terminal.
func FuzzClaims(f *testing.F) {
	p := &Provider{config: Config{NameClaim: DefaultNameClaim, GroupsClaim: DefaultGroupsClaim, OperatorGroups: []string{"ops"}, ViewerGroups: []string{"staff"}, ProviderName: "Example"}}
	for _, seed := range [][2]string{
		{`{"email":"ada@example.com","email_verified":true,"groups":["ops"]}`, `{}`},
		{`{"email":"ada@example.com"}`, `{"email":"ada@example.com","email_verified":"true","groups":"staff"}`},
		{`{"groups":null,"_claim_names":{"groups":"a"},"_claim_sources":{"a":{"endpoint":"\u001b[2J"}}}`, `null`},
		{`{"email":7,"groups":[7],"hasgroups":true}`, `{"email":"\u0000","groups":["\u202e"]}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		var own, more claims
		if json.Unmarshal([]byte(first), &own) != nil || json.Unmarshal([]byte(second), &more) != nil {
			return
		}
		name, err := p.name(own, more)
		isShort(t, err)
		if err == nil && (checkName(name) != nil || !strings.Contains(first+second, "true")) {
			t.Errorf("%q is a name by %s %s", name, first, second)
		}
		role, err := p.role(name, own, more)
		isShort(t, err)
		if err == nil && role != tokens.Operator && role != tokens.Viewer {
			t.Errorf("the role is %q", role)
		}
	})
}

func isShort(t *testing.T, err error) {
	t.Helper()
	var no *SignInError
	if errors.As(err, &no) && (len(no.Says) > 20_000 || strings.ContainsFunc(no.Says, func(r rune) bool { return unicode.IsControl(r) && r != '\n' })) {
		t.Errorf("it says %q", no.Says)
	}
}
