package buildkit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestLoginsThatCantBeReadAreRefused(t *testing.T) {
	const secret = "s3cret-value"
	for name, c := range map[string]struct{ dir, says string }{
		"no folder":               {filepath.Join(t.TempDir(), "none"), "config.json"},
		"not JSON":                {keep(t, "config.json", `auths: {r.example: `+secret+`}`, 0o600), "docker login"},
		"a store that is missing": {keep(t, "config.json", `{"auths": {"r.example": {}}, "credsStore": "none-such"}`, 0o600), "docker-credential-none-such is not installed"},
		"a helper that is":        {keep(t, "config.json", `{"credHelpers": {"r.example": "none-such"}}`, 0o600), "docker-credential-none-such is not installed"},
	} {
		_, err := New(Config{Address: "unix:///none", DockerConfig: c.dir})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Join(c.dir, "config.json")) {
			t.Errorf("%s: error %v does not name the file and %s", name, err, c.says)
		}
		var field *FieldError
		if !errors.As(err, &field) || field.Field != "DockerConfig" {
			t.Errorf("%s: error %v is of no field", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

func TestACredentialHelperIsAsked(t *testing.T) {
	helper := keep(t, "docker-credential-test", "#!/bin/sh\nread host\n"+`echo "{\"ServerURL\":\"$host\",\"Username\":\"ann\",\"Secret\":\"s3cret\"}"`+"\n", 0o700)
	t.Setenv("PATH", helper+":"+os.Getenv("PATH"))
	s, err := New(Config{Address: "unix:///none", DockerConfig: keep(t, "config.json", `{"credHelpers": {"r.example": "test"}}`, 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for host, user := range map[string]string{"r.example": "ann", "s.example": ""} {
		login, err := s.logins.of(host)
		if err != nil || login.Username != user || (login.Password == "s3cret") != (user != "") {
			t.Errorf("the login for %s is of %q, %v; want that of %q", host, login.Username, err, user)
		}
	}
}
