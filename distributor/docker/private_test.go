package docker_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
)

const password = "pa$$word-of-the-test"

// private lets nobody read who does not know the password.
func private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != "node" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestAPrivateRegistryNeedsALogin(t *testing.T) { eachEngine(t, testLogin) }

func testLogin(t *testing.T, s *site) {
	w := s.newWorld(t, private)
	w.options = append(w.options, remote.WithAuth(&authn.Basic{Username: "node", Password: password}))
	image := w.push(t, w.base)
	dir := t.TempDir()
	login := func(host, password string) {
		t.Helper()
		text := fmt.Sprintf(`{"auths": {%q: {"username": "node", "password": %q}}}`, host, password)
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(e *docker.Engine, fix string) {
		t.Helper()
		_, err := e.Pull(t.Context(), image, func(distributor.Progress) {})
		if !errors.Is(err, distributor.ErrUnauthorized) || !strings.Contains(err.Error(), fix) {
			t.Errorf("error %v, want ErrUnauthorized with the fix %q", err, fix)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	refused(s.engine(t), "docker-config names the folder")
	login("other.example", password)
	e, err := docker.New(docker.Config{Host: s.host, DockerConfig: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	t.Cleanup(func() { w.forget(t, e) })
	refused(e, "add a login for "+w.host)
	login(w.host, password[1:])
	refused(e, "correct the login for "+w.host)
	login(w.host, password) // it counts without a restart
	if n, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); err != nil || n <= 0 && !s.apart {
		t.Fatalf("pulled %d bytes, error %v", n, err)
	}
}
