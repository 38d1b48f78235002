package registries

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keep writes a file into a new folder, and returns the folder.
func keep(t *testing.T, file, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// helped are logins of a credential helper that does what a shell script says.
func helped(t *testing.T, script string) Logins {
	t.Helper()
	t.Setenv("PATH", keep(t, "docker-credential-test", "#!/bin/sh\n"+script+"\n", 0o700)+":"+os.Getenv("PATH"))
	return Logins{keep(t, "config.json", `{"credHelpers": {"r.example": "test"}, "auths": {"s.example": {"username": "bob", "password": "pw"}}}`, 0o600)}
}

// stderr is what the test's own process says while do runs.
func stderr(t *testing.T, do func()) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stderr")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = f
	defer func() { os.Stderr = was }()
	do()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestWhatACredentialHelperSays(t *testing.T) {
	for about, c := range map[string]struct {
		script, user, token string
		says                []string // in the error
	}{
		"a login":                 {`read host; echo "{\"ServerURL\":\"$host\",\"Username\":\"ann\",\"Secret\":\"s3cret\"}"; echo "asked for $host" >&2`, "ann", "", nil},
		"a token":                 {`echo '{"Username":"<token>","Secret":"s3cret"}'`, "", "s3cret", nil},
		"none":                    {`echo "credentials not found in native keychain"; exit 1`, "", "", nil},
		"an error beside":         {`echo "vault is locked" >&2; exit 7`, "", "", []string{"docker-credential-test", "exit status 7", "vault is locked"}},
		"an error in its answer":  {`echo "vault is locked"; exit 1`, "", "", []string{"vault is locked"}},
		"an order to terminals":   {`printf 'locked\033[2J\n\001' >&2; exit 1`, "", "", []string{"exit status 1: locked"}},
		"very much":               {`head -c 10000000 /dev/zero | tr '\0' x >&2; exit 1`, "", "", []string{"xxx"}},
		"a login, and an error":   {`echo '{"Username":"ann","Secret":"s3cret"}'; exit 1`, "", "", []string{"exit status 1"}},
		"half a login":            {`echo '{"Username":"ann","Secret":"s3cret"'`, "", "", []string{"no login in JSON"}},
		"nothing":                 {`exit 0`, "", "", []string{"no login in JSON"}},
		"something that is ended": {`kill -9 $$`, "", "", []string{"killed"}},
	} {
		t.Run(about, func(t *testing.T) {
			l := helped(t, c.script)
			var user, token string
			var err error
			if said := stderr(t, func() {
				login, asked := l.Of(t.Context(), "r.example")
				user, token, err = login.Username, login.IdentityToken, asked
			}); said != "" {
				t.Errorf("this program said %q", said)
			}
			if user != c.user || token != c.token || (err != nil) != (c.says != nil) {
				t.Fatalf("the login of %q, %q, %v", user, token, err)
			}
			for _, w := range c.says {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in %v", w, err)
				}
			}
			if err != nil && (len(err.Error()) > 1000 || strings.Contains(err.Error(), "s3cret") || strings.ContainsAny(err.Error(), "\x1b\x01\n")) {
				t.Errorf("%q", err)
			}
		})
	}
}

func TestACredentialHelperThatHangsIsEnded(t *testing.T) {
	l := helped(t, `echo "waiting for a finger" >&2; sleep 1000 & wait`)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, fmt.Errorf("that was long"))
	defer cancel()
	_, err := l.Of(ctx, "r.example")
	if err == nil || !strings.Contains(err.Error(), "that was long") {
		t.Errorf("%v", err)
	}
	if login, err := l.Of(t.Context(), "s.example"); err != nil || login.Username != "bob" {
		t.Errorf("the login that is in the file: %q, %v", login.Username, err)
	}
	if login, err := l.Of(t.Context(), "t.example"); err != nil || login.Username != "" {
		t.Errorf("a login that is nowhere: %q, %v", login.Username, err)
	}
}
