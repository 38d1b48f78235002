package buildkit_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestTheRepositorysToken(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN true\n"})
	b.git.RequireToken("token-of-repository")
	b.fails(t, o, messages.FailureUser, "", "repository_token")
	o.Token = messages.NewSecret("token-of-repository")
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	o = b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN : with a user\n"})
	o.Token = messages.NewSecret("x-token-auth:token-of-repository")
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatalf("with a user: %v", err)
	}
}

func TestTheTokenReadsNoOtherRepository(t *testing.T) {
	b := newBench(t)
	other := b.git.Repository(t, "other")
	other.Commit(t, "main", map[string]string{"private": "text"})
	b.git.RequireToken("token-of-repository")
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + other.URL + "#main /other\n"})
	o.Token = messages.NewSecret("token-of-repository")
	b.fails(t, o, messages.FailureUser, "Dockerfile:2", other.URL, "is denied")

	o = b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + b.repo.URL + "#main /again\n"})
	o.Token = messages.NewSecret("token-of-repository")
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Errorf("reading its own repository again: %v", err)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	b := newBench(t)
	const value = "s3cret-value"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN --mount=type=secret,id=key cat /run/secrets/key && echo seen && false\n"})
	o.Secrets = map[string]messages.Secret{"key": messages.NewSecret(value + "\nsecond-line\n")}
	f := b.fails(t, o, messages.FailureUser, "Dockerfile:2", "seen", "(secret)")
	for _, text := range []string{o.text(), f.Reason + f.Detail} {
		if strings.Contains(text, value) || strings.Contains(text, "second-line") {
			t.Errorf("the secret shows:\n%s", text)
		}
	}
}

func TestALongCommandIsCutAfterItsSecretsAreOut(t *testing.T) {
	b := newBench(t)
	const value = "s3cret-value"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN : " + strings.Repeat("x", 200-len(": ")-6) + value + " && false\n"})
	o.Secrets = map[string]messages.Secret{"key": messages.NewSecret(value)}
	f := b.fails(t, o, messages.FailureUser, "Dockerfile:2")
	if strings.Contains(f.Reason, "s3cre") {
		t.Errorf("the secret's beginning shows: %s", f.Reason)
	}
}
