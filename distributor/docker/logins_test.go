package docker

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/pkg/authconfig"

	"github.com/fenceline/fenceline/messages"
)

const secret = "not-for-logs"

// keep writes a config.json, and returns its folder.
func keep(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	text = strings.ReplaceAll(text, "AUTH", base64.StdEncoding.EncodeToString([]byte("ann:"+secret)))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestALoginIsFoundByItsRegistry(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for name, c := range map[string]struct{ image, file, user string }{
		"by host and port":        {"127.0.0.1:5000/base", `{"auths": {"127.0.0.1:5000": {"auth": "AUTH"}}}`, "ann"},
		"by an address of old":    {"r.example/base", `{"auths": {"https://r.example/v1/": {"auth": "AUTH"}}}`, "ann"},
		"of Docker Hub":           {"docker.io/library/debian", `{"auths": {"https://index.docker.io/v1/": {"auth": "AUTH"}}}`, "ann"},
		"of Docker Hub, in short": {"debian", `{"auths": {"https://index.docker.io/v1/": {"auth": "AUTH"}}}`, "ann"},
		"of another registry":     {"s.example/base", `{"auths": {"r.example": {"auth": "AUTH"}}}`, ""},
		"of another port":         {"r.example:5000/base", `{"auths": {"r.example": {"auth": "AUTH"}}}`, ""},
		"in a file without any":   {"r.example/base", `{}`, ""},
	} {
		got, err := logins{keep(t, c.file)}.of(messages.Image(c.image + digest))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sent, err := authconfig.Decode(got.header)
		if err != nil || sent.Username != c.user || (sent.Password == secret) != (c.user != "") {
			t.Errorf("%s: the engine is given the login of %q (error %v), want that of %q", name, sent.Username, err, c.user)
		}
		if got.fix == "" || strings.Contains(got.fix, secret) {
			t.Errorf("%s: the fix is %q", name, got.fix)
		}
	}
}

func TestLoginsThatCantBeReadAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ dir, says string }{
		"no folder":           {filepath.Join(t.TempDir(), "none"), "config.json"},
		"not JSON":            {keep(t, `auths: {r.example: `+secret+`}`), "docker login"},
		"cut off":             {keep(t, `{"auths": {"r.example": {"auth": "AUTH"`), "docker login"},
		"not base64":          {keep(t, `{"auths": {"r.example": {"auth": "ann:`+secret+`"}}}`), "docker login"},
		"a credentials store": {keep(t, `{"auths": {"r.example": {}}, "credsStore": "desktop"}`), "credsStore"},
		"a credential helper": {keep(t, `{"credHelpers": {"r.example": "ecr-login"}}`), "credHelpers"},
	} {
		_, err := New(Config{DockerConfig: c.dir})
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
