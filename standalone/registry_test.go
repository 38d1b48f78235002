package standalone_test

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standalone"
)

func startRegistry(t *testing.T) *standalone.Registry {
	t.Helper()
	r, err := standalone.StartRegistry(standalone.RegistryConfig{
		Address: "127.0.0.1:0", Dir: t.TempDir(), Password: messages.NewSecret("right"), Reader: messages.NewSecret("reads"), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return r
}

func TestRegistryWantsALoginForEverything(t *testing.T) {
	r := startRegistry(t)
	ref, err := name.ParseReference(r.Address() + "/exampleco/newimg:one")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1<<16, 2)
	if err != nil {
		t.Fatal(err)
	}
	// In order: a client doesn't push what is there already.
	logins := []struct {
		who  string
		auth authn.Authenticator
		ok   bool
	}{
		{"nobody", authn.Anonymous, false},
		{"the wrong password", &authn.Basic{Username: standalone.RegistryUser, Password: "wrong"}, false},
		{"another user", &authn.Basic{Username: "docker", Password: "right"}, false},
		{"who may pull", &authn.Basic{Username: standalone.RegistryReader, Password: "reads"}, false},
		{"who may pull, with the other password", &authn.Basic{Username: standalone.RegistryReader, Password: "right"}, false},
		{"the user", &authn.Basic{Username: standalone.RegistryUser, Password: "right"}, true},
	}
	for _, login := range logins {
		t.Run("push by "+login.who, func(t *testing.T) {
			if err := remote.Write(ref, image, remote.WithAuth(login.auth)); (err == nil) != login.ok {
				t.Errorf("push gives %v", err)
			}
		})
	}
	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for who, login := range map[string]authn.Authenticator{
		"": authn.Anonymous, "the wrong password": &authn.Basic{Username: standalone.RegistryReader, Password: "wrong"},
		"who may pull": &authn.Basic{Username: standalone.RegistryReader, Password: "reads"}, "who may push": &authn.Basic{Username: standalone.RegistryUser, Password: "right"},
	} {
		may := strings.HasPrefix(who, "who")
		got, err := remote.Get(ref, remote.WithAuth(login))
		if (err == nil) != may || may && got.Digest != want {
			t.Errorf("pull with the login of %q: %v", who, err)
		}
		_, err = remote.Catalog(t.Context(), ref.Context().Registry, remote.WithAuth(login))
		if (err == nil) != may {
			t.Errorf("the catalog with the login of %q: %v", who, err)
		}
	}
	for _, path := range []string{"/v2/", "/v2/_catalog", "/v2/exampleco/newimg/tags/list", "/v2/exampleco/newimg/manifests/one", "/token", "/", "/debug/health"} {
		resp, err := http.Get("http://" + r.Address() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a login %s gives %s", path, resp.Status)
		}
	}
}

func TestRegistryRefusesForgedTokens(t *testing.T) {
	r := startRegistry(t)
	for _, token := range []string{"", "anonymous", "9999999999.", "9999999999.00ff", "x.y"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.Address()+"/v2/a/blobs/uploads/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `scope="repository:a:pull,push"`) {
			t.Errorf("token %q gives %s %v %s", token, resp.Status, resp.Header, body)
		}
	}
}

// A full disk is a small file system of its own, which takes root to mount.
func TestRegistrySaysThatItsDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=66m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting a small file system, which this test needs root for: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	r, err := standalone.StartRegistry(standalone.RegistryConfig{
		Address: "127.0.0.1:0", Dir: dir, Password: messages.NewSecret("right"), Reader: messages.NewSecret("reads"), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop(t.Context())
	ref, err := name.ParseReference(r.Address() + "/exampleco/newimg:one")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(80<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	login := remote.WithAuth(&authn.Basic{Username: standalone.RegistryUser, Password: "right"})
	for _, when := range []string{"in the middle of a push", "before a push"} {
		if err := remote.Write(ref, image, login); err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("%s: error is %v", when, err)
		}
	}
}
