package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
)

// maxLogins bounds the file with the logins, in bytes.
const maxLogins = 1 << 20

// hubLogins is what Docker Hub's login is kept under.
const hubLogins = "https://index.docker.io/v1/"

// authorizer gives requests the registry's login, as docker would.
type authorizer struct {
	docker.Authorizer
	folder string

	mu   sync.Mutex
	read map[string]types.AuthConfig // by host: a credential helper is a program
}

func newAuthorizer(folder string, client *http.Client) *authorizer {
	a := &authorizer{folder: folder, read: map[string]types.AuthConfig{}}
	tokens := &http.Client{Transport: passwordsByGet{client.Transport}}
	a.Authorizer = docker.NewDockerAuthorizer(docker.WithAuthClient(tokens), docker.WithAuthCreds(func(host string) (user, secret string, err error) {
		c, err := a.login(host)
		if c.IdentityToken != "" {
			return "", c.IdentityToken, err
		}
		return c.Username, c.Password, err
	}))
	return a
}

// Authorize gives a request what is known to be wanted for it.
func (a *authorizer) Authorize(ctx context.Context, r *http.Request) error {
	c, err := a.login(r.URL.Host)
	if err != nil {
		return err
	}
	if c.RegistryToken != "" {
		r.Header.Set("Authorization", "Bearer "+c.RegistryToken)
		return nil
	}
	return a.Authorizer.Authorize(ctx, r)
}

// login is that for a registry's host, the zero value where there is none.
func (a *authorizer) login(host string) (types.AuthConfig, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.read[host]; ok || a.folder == "" {
		return c, nil
	}
	path := filepath.Join(a.folder, config.ConfigFileName)
	f, err := os.Open(path)
	if err != nil {
		return types.AuthConfig{}, fmt.Errorf("reading the registries' logins: %w; they are to be in a folder's config.json", err)
	}
	defer f.Close()
	read := configfile.New(path)
	if err := read.LoadFromReader(io.LimitReader(f, maxLogins)); err != nil {
		return types.AuthConfig{}, fmt.Errorf("reading the registries' logins in %s: %w; write it with docker login", path, err)
	}
	key := host
	if host == hubHost {
		key = hubLogins
	}
	c, err := read.GetAuthConfig(key)
	if err != nil {
		return types.AuthConfig{}, fmt.Errorf("reading the login for %s in %s: %w", host, path, err)
	}
	a.read[host] = c
	return c, nil
}

// passwordsByGet refuses the form of asking a token server that containerd tries first for a user and a
// password, by POST, so that it asks by GET as docker does: that is what all of them answer.
type passwordsByGet struct{ http.RoundTripper }

// RoundTrip does a request, unless it is such a one.
func (t passwordsByGet) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if form, err := url.ParseQuery(string(text)); err == nil && form.Get("grant_type") == "password" {
			const status = http.StatusMethodNotAllowed
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		}
	}
	return t.RoundTripper.RoundTrip(r)
}
